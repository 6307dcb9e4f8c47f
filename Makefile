# Everything here is a short name for a command that can be typed as well.

.PHONY: test check lint format drift race bench demo build setup clean

build: ## the one binary, into bin/
	CGO_ENABLED=0 go build -trimpath -o bin/bot ./cmd/bot

test: setup ## what tests use from the machine, then all tests
	go test ./...

setup: ## installs what is missing where it can; says what it had to skip
	@./scripts/setup

check: format lint drift race ## what a change must pass

format:
	@out="$$(gofmt -l .)"; if [ -n "$$out" ]; then echo "not formatted (gofmt -w):"; echo "$$out"; exit 1; fi

lint:
	go vet ./...
	./scripts/lint ./...

drift: ## generated files are what their generators make of today's code
	@./scripts/drift

race:
	go test -race -timeout 30m ./...

bench:
	go test -run '^$$' -bench . -benchmem ./...

demo: ## the whole loop on this machine, without an account
	go run ./cmd/bot demo

clean:
	rm -rf bin .cache
