#!/bin/sh
# Fetches GitHub's published documents from npm and cuts them down anew: api.json.gz, events.json.gz and
# ../graphql/schema.graphql. Run it in this folder after changing operations.txt, events.txt or
# ../graphql/keep.txt, or to move to newer documents.
set -eu

api=@octokit/openapi@23.0.2
events=@octokit/openapi-webhooks@12.1.0
graphql=@octokit/graphql-schema@15.26.1

here=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for package in "$api" "$events" "$graphql"; do
	(cd "$work" && npm pack --silent "$package" >name && mkdir "$(basename "$(cat name)" .tgz)" &&
		tar -xzf "$(cat name)" -C "$(basename "$(cat name)" .tgz)")
done
go run ./prune operations.txt "$work"/octokit-openapi-23*/package/generated/api.github.com.json "$here/api.json.gz"
go run ./prune events.txt "$work"/octokit-openapi-webhooks-*/package/generated/api.github.com.json "$here/events.json.gz"
(cd ../graphql && go run ./prune keep.txt "$work"/octokit-graphql-schema-*/package/schema.graphql schema.graphql)
