package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dozens/batch/plan"
)

const (
	labelsMax = 50   // labels of one /retry
	unitMax   = 1000 // highest number of a unit
)

// readLabels reads the labels after a verb.
func readLabels(c call, cmd *Command, most int) (problem string) {
	for _, w := range words(c.args) {
		for label := range strings.SplitSeq(w.value, ",") {
			label = strings.ToLower(label)
			if label == "" || slices.Contains(cmd.Labels, label) {
				continue
			}
			if err := plan.CheckLabel(label); err != nil && !(c.verb == Retry && label == AllFailed) {
				return fmt.Sprintf("That is no label: %s.", err)
			}
			cmd.Labels = append(cmd.Labels, label)
		}
	}
	if len(cmd.Labels) > most {
		return fmt.Sprintf("/%s takes at most %d of the labels that /status shows, and here are %d.", c.verb, most, len(cmd.Labels))
	}
	if c.verb == Retry && (len(cmd.Labels) == 0 || slices.Contains(cmd.Labels, AllFailed)) {
		if len(cmd.Labels) > 1 {
			return "/retry takes either labels or the word failed, which means all that failed."
		}
		cmd.Labels = []string{AllFailed}
	}
	return ""
}

// readUnits reads numbers and ranges such as 1,3-5.
func readUnits(args string) (units []int, problem string) {
	values := []string{}
	for _, w := range words(args) {
		values = append(values, w.value)
	}
	list := strings.NewReplacer("–", "-", "—", "-").Replace(strings.Join(values, " "))
	list = strings.ReplaceAll(strings.ReplaceAll(list, " -", "-"), "- ", "-")
	if list == "" || strings.EqualFold(list, "all") {
		return nil, ""
	}
	for part := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, ok := unitNumber(low)
		last, also := unitNumber(high)
		switch {
		case !ok || !also:
			return nil, fmt.Sprintf("%s is no number of a unit, and no range such as 3-5.", quote(part))
		case first > last:
			return nil, fmt.Sprintf("The range %s runs backwards.", quote(part))
		}
		for n := first; n <= last; n++ {
			units = append(units, n)
		}
		if len(units) > 2*unitMax {
			return nil, "The list names units again and again; write each once."
		}
	}
	if units == nil {
		return nil, "The list of units is empty."
	}
	slices.Sort(units)
	return slices.Compact(units), ""
}

func unitNumber(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && digits(s) && n >= 1 && n <= unitMax
}

// readBudget reads the amount of a budget line.
func readBudget(args string) (usd float64, problem string) {
	values := []string{}
	for _, w := range words(args) {
		values = append(values, w.value)
	}
	if len(values) == 0 {
		return 0, "/budget needs the new limit in US dollars."
	}
	usd, err := dollars(strings.Join(values, ""))
	if err != nil {
		return 0, fmt.Sprintf("The budget cannot be set: %s.", err)
	}
	return usd, ""
}
