package meter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// PricesDate is the day of which the built-in prices are.
const PricesDate = "2026-11-22"

// What stands beside the table, of Anthropic's pricing page: the cache is priced by the price of input, inference that
// is kept in one region costs a tenth more, a web search costs a cent.
const (
	write5mPercent = 125
	write1hPercent = 200
	readPercent    = 10
	regionPercent  = 110

	searchNano = 10_000_000 // nanodollars for one web search
)

// maxPrice bounds a price in a table, in US dollars per million tokens.
const maxPrice = 1000

// Price is what a model costs, in US dollars per million tokens.
type Price struct {
	Input  float64
	Output float64
}

// Prices are the prices of models by family, such as claude-opus-5-5. Dated and gateway's names of a model are found by
// its family's name.
type Prices map[string]Price

// Builtin are the list prices of PricesDate, as Claude Code reckoned with them.
func Builtin() Prices {
	return Prices{
		"claude-fable-5-2":  {8, 40},
		"claude-opus-5-5":   {4, 20},
		"claude-opus-4-8":   {5, 25},
		"claude-sonnet-5-5": {2, 10},
		"claude-sonnet-4-5": {3, 15},
		"claude-haiku-5-5":  {0.5, 2.5},
	}
}

// ParsePrices reads a table in YAML or JSON, "name: {input: 4, output: 20}" in US dollars per million tokens, over
// the built-in one: a name that is there already gets the new price, others are added. All problems are reported at once.
func ParsePrices(b []byte) (Prices, error) {
	prices := Builtin()
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return prices, nil
	} else if err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("read prices: there is more than one document")
	}
	given, err := readTable(doc.Content[0])
	if err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	maps.Copy(prices, given)
	return prices, nil
}

func readTable(n *yaml.Node) (Prices, error) {
	if n.Kind != yaml.MappingNode {
		return nil, errors.New("they must stand as 'model: {input: X, output: Y}'")
	}
	var all []error
	given := Prices{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := strings.ToLower(n.Content[i].Value)
		price, err := readPrice(n.Content[i+1])
		if _, twice := given[name]; twice {
			err = errors.Join(err, errors.New("stands there twice"))
		}
		if !modelName(name) {
			err = errors.Join(err, errors.New("is not a model's name"))
		}
		if err != nil {
			all = append(all, fmt.Errorf("line %d, %q: %w", n.Content[i].Line, clip(name), err))
		}
		given[name] = price
	}
	return given, errors.Join(all...)
}

func readPrice(n *yaml.Node) (Price, error) {
	if n.Kind != yaml.MappingNode {
		return Price{}, errors.New("must be {input: X, output: Y}")
	}
	var all []error
	seen := map[string]float64{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		if key != "input" && key != "output" {
			all = append(all, fmt.Errorf("does not know %q, only input and output", clip(key)))
			continue
		}
		if _, twice := seen[key]; twice {
			all = append(all, fmt.Errorf("has %s twice", key))
		}
		x, err := strconv.ParseFloat(value.Value, 64)
		if err != nil || value.Kind != yaml.ScalarNode || math.IsNaN(x) || x < 0 || x > maxPrice {
			all = append(all, fmt.Errorf("%s must be a number from 0 to %d, US dollars per million tokens", key, maxPrice))
		}
		seen[key] = x
	}
	for _, key := range []string{"input", "output"} {
		if _, ok := seen[key]; !ok {
			all = append(all, fmt.Errorf("has no %s", key))
		}
	}
	return Price{seen["input"], seen["output"]}, errors.Join(all...)
}

// rate is a price in whole nanodollars per token, so that sums are exact. A dollar per million tokens is 1000 of them.
type rate struct{ input, output int64 }

func (p Price) rate() rate {
	return rate{int64(math.Ceil(p.Input * 1000)), int64(math.Ceil(p.Output * 1000))}
}

// find returns the rate of a model by any of its names, and whether it is in the table.
func (p Prices) find(model string) (rate, bool) {
	model = strings.ToLower(model)
	if price, ok := p[model]; ok {
		return price.rate(), true
	}
	names := []string{model}
	// Gateways put a region or a maker before the name: us.anthropic.claude-…, anthropic/claude-….
	if i := strings.LastIndex(model, "claude-"); i > 0 {
		names = append(names, model[i:])
	}
	for _, name := range names {
		best, found := "", false
		for family := range p {
			if len(family) >= len(best) && sameFamily(name, family) {
				best, found = family, true
			}
		}
		if found {
			return p[best].rate(), true
		}
	}
	return rate{}, false
}

// sameFamily says whether a name is the family's own, or with a date, a version or a variant behind it. Something else
// behind it may be another model with another price: claude-opus-5 is not claude-opus-5-5.
func sameFamily(name, family string) bool {
	rest, ok := strings.CutPrefix(name, family)
	if !ok {
		return false
	}
	if rest == "" || strings.ContainsRune("@:[", rune(rest[0])) {
		return true
	}
	rest, ok = strings.CutPrefix(rest, "-")
	if !ok {
		return false
	}
	if rest == "latest" || len(rest) > 1 && rest[0] == 'v' && rest[1] >= '0' && rest[1] <= '9' {
		return true
	}
	return len(rest) >= 8 && strings.Trim(rest[:8], "0123456789") == "" && (len(rest) == 8 || rest[8] < '0' || rest[8] > '9')
}

// dearest is the highest rate of the table, for models that are not in it.
func (p Prices) dearest() rate {
	var top rate
	for _, price := range p {
		r := price.rate()
		top.input, top.output = max(top.input, r.input), max(top.output, r.output)
	}
	return top
}
