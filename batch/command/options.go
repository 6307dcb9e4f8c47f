package command

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dozens/batch"
	"dozens/batch/plan"
)

const (
	parallelMax = 100
	budgetMax   = 100_000 // US dollars
)

// option is one --option of a command that starts work.
type option struct {
	name  string
	value string // what it takes, for the usage; empty: nothing
	verbs []Verb
	does  string
	set   func(o *batch.Options, value string) error
}

// options is the table of options; usage and help are made from it too.
func options() []option {
	both := []Verb{Batch, Claude}
	return []option{
		{"max-parallel", "N", []Verb{Batch}, "how many agents work at once, 1 to 100", setParallel},
		{"budget", "DOLLARS", both, "most that it may cost, in US dollars", setBudget},
		{"label", "NAME", both, "short name of the work, used for branches", setLabel},
		{"base", "BRANCH", both, "branch the pull requests go to", setBase},
		{"yes", "", []Verb{Batch}, "start without waiting for /go", func(o *batch.Options, _ string) error { o.Yes = true; return nil }},
	}
}

func setParallel(o *batch.Options, value string) (err error) {
	o.MaxParallel, err = strconv.Atoi(value)
	if err != nil || !digits(value) || o.MaxParallel < 1 || o.MaxParallel > parallelMax {
		return fmt.Errorf("%s is not a number from 1 to %d", quote(value), parallelMax)
	}
	return nil
}

func setBudget(o *batch.Options, value string) (err error) {
	o.BudgetUSD, err = dollars(value)
	return err
}

func setLabel(o *batch.Options, value string) error {
	o.Label = strings.ToLower(value)
	return plan.CheckLabel(o.Label)
}

func setBase(o *batch.Options, value string) error {
	o.Base = value
	return plan.CheckBranch(value)
}

// readOptions takes the options out of a command's line. What remains is text.
func readOptions(verb Verb, line string, o *batch.Options) (text, problem string) {
	found := words(line)
	pieces := []string{} // of the line, between the options
	from := 0
	seen := []string{}
	for i := 0; i < len(found); i++ {
		w := found[i]
		if w.quoted {
			continue
		}
		if w.value == "--" {
			pieces = append(pieces, line[from:w.start])
			from = w.end
			break
		}
		name, value, given, ok := optionIn(w.value)
		if !ok {
			continue
		}
		opt, problem := findOption(verb, name)
		if problem == "" && slices.Contains(seen, opt.name) {
			problem = fmt.Sprintf("--%s is given twice.", opt.name)
		}
		if problem != "" {
			return "", problem
		}
		seen = append(seen, opt.name)
		end := w.end
		if opt.value != "" && !given && i+1 < len(found) && !isOption(found[i+1]) {
			i++
			value, given, end = found[i].value, true, found[i].end
		}
		if problem := apply(opt, value, given, o); problem != "" {
			return "", problem
		}
		pieces = append(pieces, line[from:w.start])
		from = end
	}
	return joinText(append(pieces, line[from:])), ""
}

func isOption(w word) bool {
	if w.quoted {
		return false
	}
	_, _, _, ok := optionIn(w.value)
	return ok || w.value == "--"
}

// optionIn reads a word such as --budget or --budget=20. Some keyboards turn two dashes into one long one.
func optionIn(w string) (name, value string, given, ok bool) {
	name, ok = strings.CutPrefix(w, "--")
	long := false
	for _, dash := range []string{"—", "–"} {
		if rest, found := strings.CutPrefix(w, dash); found && !ok {
			name, long = rest, true
		}
	}
	name, value, given = strings.Cut(name, "=")
	name = strings.ToLower(name)
	if long {
		ok = slices.ContainsFunc(options(), func(o option) bool { return o.name == name })
	}
	return name, value, given, ok && name != "" && name[0] >= 'a' && name[0] <= 'z'
}

func findOption(verb Verb, name string) (option, string) {
	names := []string{}
	for _, o := range options() {
		if o.name == name {
			if !slices.Contains(o.verbs, verb) {
				return option{}, fmt.Sprintf("--%s is an option of /%s, not of /%s.", name, o.verbs[0], verb)
			}
			return o, ""
		}
		if slices.Contains(o.verbs, verb) {
			names = append(names, o.name)
		}
	}
	near := nearest(name, names)
	if near != "" {
		near = " Did you mean --" + near + "?"
	}
	return option{}, fmt.Sprintf("There is no option %s.%s If it is part of the text, put it into quotes or write -- before the text.", quote("--"+name), near)
}

func apply(opt option, value string, given bool, o *batch.Options) (problem string) {
	switch {
	case opt.value == "" && given:
		return fmt.Sprintf("--%s takes no value.", opt.name)
	case opt.value != "" && (!given || value == ""):
		return fmt.Sprintf("--%s needs a value: --%s %s.", opt.name, opt.name, opt.value)
	}
	if err := opt.set(o, value); err != nil {
		return fmt.Sprintf("--%s: %s.", opt.name, err)
	}
	return ""
}

func joinText(pieces []string) string {
	out := []string{}
	for _, p := range pieces {
		if p = strings.TrimFunc(readable(p), isSpace); p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, " ")
}

// dollars reads an amount such as 20, $20, 20.50 or 20usd.
func dollars(s string) (float64, error) {
	bad := fmt.Errorf("%s is not an amount in US dollars such as 20 or 20.50", quote(s))
	number := strings.TrimPrefix(s, "$")
	lower := strings.ToLower(number)
	for _, unit := range []string{"usd", "$"} {
		if len(number) == len(s) && strings.HasSuffix(lower, unit) {
			number = number[:len(number)-len(unit)]
			break
		}
	}
	whole, cents, dot := strings.Cut(number, ".")
	if !digits(whole) || len(whole) > 9 || dot && (!digits(cents) || len(cents) > 6) {
		return 0, bad
	}
	amount, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil:
		return 0, bad
	case amount <= 0:
		return 0, errors.New("the amount must be more than 0")
	case amount > budgetMax:
		return 0, fmt.Errorf("the amount must not be more than %d dollars", budgetMax)
	}
	return amount, nil
}

func digits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
