package meter

import "time"

// Usage is what a session has used so far.
type Usage struct {
	CostMicroUSD int64 // millionths of a US dollar, rounded up
	InputTokens  int64 // with what was written to and read from the cache
	OutputTokens int64
	Requests     int // model requests that were sent on

	// EstimatedMicroUSD is the part of CostMicroUSD that was estimated, because a reply ended before its usage was
	// known. Each time the run's log says so.
	EstimatedMicroUSD int64

	UnknownModel string    // a model that is not in the price table; it was counted at the dearest price
	Over         bool      // a request was refused because the budget is used up
	Limited      bool      // a request was refused because of a limit of the model's account
	LimitedUntil time.Time // when that limit ends, as far as is known
}

// maxTokens bounds what one usage field is believed to say, so that sums cannot overflow.
const maxTokens = 100_000_000

// maxIterations bounds how many samplings of one request are counted one by one.
const maxIterations = 1000

// block is the usage block of the Messages API, as it stands in message_start, message_delta and whole messages.
// In message_delta the numbers are those of the whole message so far, and fields may be left out.
type block struct {
	Input         int64 `json:"input_tokens"`
	Output        int64 `json:"output_tokens"`
	CacheCreation int64 `json:"cache_creation_input_tokens"`
	CacheRead     int64 `json:"cache_read_input_tokens"`
	Written       struct {
		FiveMinutes int64 `json:"ephemeral_5m_input_tokens"`
		OneHour     int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
	ServerTools struct {
		Searches int64 `json:"web_search_requests"`
	} `json:"server_tool_use"`
	Region string `json:"inference_geo"`
	// Samplings within one request, each with its own numbers. Some of them, such as a compaction of the conversation,
	// are billed but not part of the numbers above.
	Iterations []iteration `json:"iterations"`
}

type iteration struct {
	block
	Model string `json:"model"`
}

// merge takes the higher of each number, and the newer of what is no number.
func (b *block) merge(n block) {
	b.Input = max(b.Input, n.Input)
	b.Output = max(b.Output, n.Output)
	b.CacheCreation = max(b.CacheCreation, n.CacheCreation)
	b.CacheRead = max(b.CacheRead, n.CacheRead)
	b.Written.FiveMinutes = max(b.Written.FiveMinutes, n.Written.FiveMinutes)
	b.Written.OneHour = max(b.Written.OneHour, n.Written.OneHour)
	b.ServerTools.Searches = max(b.ServerTools.Searches, n.ServerTools.Searches)
	if n.Region != "" {
		b.Region = n.Region
	}
	if len(n.Iterations) >= len(b.Iterations) && len(n.Iterations) > 0 {
		b.Iterations = n.Iterations
	}
}

// bill is what usage comes to.
type bill struct{ nano, input, output int64 }

// cost prices one block at a rate, without its iterations. hour says that the request asked for the dearer cache: written
// tokens of which the block does not say for how long are then counted at its price.
func (b block) cost(r rate, hour bool) bill {
	five, one := bound(b.Written.FiveMinutes), bound(b.Written.OneHour)
	if rest := bound(b.CacheCreation) - five - one; rest > 0 && hour {
		one += rest
	} else if rest > 0 {
		five += rest
	}
	input, read, output := bound(b.Input), bound(b.CacheRead), bound(b.Output)
	nano := input*r.input + output*r.output
	nano += (five*write5mPercent + one*write1hPercent + read*readPercent) * r.input / 100
	if b.Region != "" && b.Region != "global" && b.Region != "not_available" {
		nano = nano / 100 * regionPercent
	}
	nano += min(bound(b.ServerTools.Searches), 1_000_000) * searchNano
	return bill{nano, input + five + one + read, output}
}

// total prices a block with its iterations: whichever is more, the block or the sum of its iterations. rate gives the
// rate of a model.
func (b block) total(model string, hour bool, rateOf func(model string) rate) bill {
	whole := b.cost(rateOf(model), hour)
	var parts bill
	for _, it := range b.Iterations[:min(len(b.Iterations), maxIterations)] {
		name := it.Model
		if name == "" {
			name = model
		}
		part := it.cost(rateOf(name), hour)
		parts = bill{parts.nano + part.nano, parts.input + part.input, parts.output + part.output}
	}
	return bill{max(whole.nano, parts.nano), max(whole.input, parts.input), max(whole.output, parts.output)}
}

func bound(tokens int64) int64 { return min(max(tokens, 0), maxTokens) }

// micro rounds nanodollars up to millionths of a dollar.
func micro(nano int64) int64 { return (nano + 999) / 1000 }
