package meter

// leastOutput is how many tokens an answer is expected to have at least, when the budget is looked at.
const leastOutput = 4096

// call is one model request between its admission and its end. Its fields are guarded by the session's lock.
type call struct {
	s   *Session
	req *request

	model    string // that answered; empty until it is known
	usage    block
	counted  bill  // what of it is in the session's sum
	streamed int64 // tokens guessed from what was streamed
	known    bool  // a usage block was seen
	final    bool  // the usage block of the end was seen
	billed   bool  // it was sent and not refused: the account pays for it
}

// sawUsage counts a usage block.
func (c *call) sawUsage(model string, b block, final bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if model != "" {
		c.model = model
	}
	c.known, c.final = true, c.final || final
	c.usage.merge(b)
	c.count(c.usage.total(c.req.model, c.req.hour, c.rate))
}

// count replaces what of this call is in the session's sum. It never takes anything back.
func (c *call) count(now bill) {
	now = bill{max(now.nano, c.counted.nano), max(now.input, c.counted.input), max(now.output, c.counted.output)}
	c.s.spent += now.nano - c.counted.nano
	c.s.usage.InputTokens += now.input - c.counted.input
	c.s.usage.OutputTokens += now.output - c.counted.output
	c.counted = now
}

// rate prices a model of this call: the model that was asked for by the dearer of its own price and that of the model that
// says it answered, because a gateway may take a name for another model than we do.
func (c *call) rate(model string) rate {
	r, known := c.s.m.opts.Prices.find(model)
	if !known {
		r = c.s.m.dearest
		if c.s.usage.UnknownModel == "" {
			c.s.usage.UnknownModel = model
		}
	}
	if model != c.req.model || c.model == "" {
		return r
	}
	if answered, ok := c.s.m.opts.Prices.find(c.model); ok {
		r = rate{max(r.input, answered.input), max(r.output, answered.output)}
	}
	return r
}

// reserve is what this call is expected to cost beyond what is counted already, in nanodollars.
func (c *call) reserve() int64 {
	r := c.rate(c.req.model)
	output := max(leastOutput, c.streamed, c.s.longest)
	if c.req.most > 0 {
		output = min(output, c.req.most)
	}
	input := tokensOf(len(c.req.body)) * r.input
	if c.known {
		input = c.counted.nano - c.usage.Output*r.output
	}
	return max(0, input+output*r.output-c.counted.nano)
}

// settle counts what is missing of a call that ended before its usage was known. An agent could else use the model for
// nothing by hanging up just before the end. It returns how much of it is a guess, in nanodollars.
func (c *call) settle() int64 {
	if c.final || !c.billed {
		return 0
	}
	before := c.counted.nano
	guess := c.usage
	if !c.known {
		guess.Input = tokensOf(len(c.req.body))
	}
	guess.Output = max(guess.Output, c.streamed)
	c.count(guess.total(c.req.model, c.req.hour, c.rate))
	return c.counted.nano - before
}
