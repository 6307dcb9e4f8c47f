package fakemodel

// Conversation is an Actor that gives the steps in order to each session: the n-th answer of the model in a
// conversation is step n, the last one again and again after that. Since it counts the answers that the
// conversation already holds, a repeated request gets the same answer.
func Conversation(steps ...Reply) Actor {
	return func(r Request) Reply {
		answered := 0
		for _, m := range r.Messages {
			if m.Role == "assistant" {
				answered++
			}
		}
		return steps[min(answered, len(steps)-1)]
	}
}
