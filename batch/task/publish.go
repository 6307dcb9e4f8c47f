package task

import (
	"slices"
	"strings"
	"time"

	"dozens/batch/work"
)

const maxPushes = 5

func ranPublish(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	rep := s.(Reported)
	r := rep.Report
	if r.Kind != work.Publish || r.Generation != t.Generation {
		return nil, ErrIgnored
	}
	if r.Outcome == work.Pushed {
		t.Pushed, t.Pushes = r.Head, 0
		return []Effect{{Kind: Open}}, nil
	}
	t.Pushes++
	if r.Outcome == work.Rejected && len(rep.Workflows) > 0 {
		return refused(t, rep.Workflows), nil
	}
	if r.Outcome == work.Rejected || r.Outcome == work.Gone || t.Pushes >= maxPushes {
		return end(t, Failed, "the push did not succeed: "+r.Reason), nil
	}
	return []Effect{{Kind: Push, After: time.Duration(t.Pushes*t.Pushes) * 5 * time.Second}}, nil
}

// refused follows a push that GitHub refused for its workflow files. The diff may not have shown them: commits that
// undo each other count too. The next push asks for the permission; when this one had it, a person has to look.
func refused(t *Task, files []string) []Effect {
	knew := len(t.Workflows) > 0
	for _, f := range files {
		if !slices.Contains(t.Workflows, f) {
			t.Workflows = append(slices.Clone(t.Workflows), f)
		}
	}
	if knew {
		return bar(t)
	}
	return []Effect{{Kind: Push}}
}

// bar keeps the work unpushed where it is until the app may push workflow files, or the session gets other words.
func bar(t *Task) []Effect {
	t.Waiting = ForPermission
	if t.Instructions != "" {
		return requeue(t, strings.TrimSpace(unpushable(t)))
	}
	t.Detail = "the app has no permission to push workflow files, and this changes " + strings.Join(t.Workflows, ", ")
	return []Effect{{Kind: Ask}}
}

// unpushable is what the session must know beside the words of whoever answers; "" when nothing bars its work.
func unpushable(t *Task) string {
	if t.Waiting != ForPermission {
		return ""
	}
	return "Your work could not be pushed, because it changes workflow files, which is not allowed here: " + strings.Join(t.Workflows, ", ") +
		". If the words below do without them, take them out of your commits too, not only out of the last one: go back to the base commit with git reset --soft and commit anew.\n\n"
}

func barred(t *Task, _ Signal, _ time.Time) ([]Effect, error) {
	if t.Waiting == ForPermission || len(t.Workflows) == 0 || t.Pushed == t.Head {
		return nil, ErrIgnored
	}
	return bar(t), nil
}

func allowed(t *Task, _ Signal, _ time.Time) ([]Effect, error) {
	if t.Waiting != ForPermission {
		return nil, ErrIgnored
	}
	t.Waiting, t.Detail = NotWaiting, ""
	return []Effect{{Kind: Push}}, nil
}

func opened(t *Task, s Signal, _ time.Time) ([]Effect, error) {
	o := s.(Opened)
	if o.Head != t.Pushed {
		return nil, ErrIgnored
	}
	t.PR, t.Stage, t.Checks, t.Marked = o.PR, CI, "waiting for checks", o.Marked
	if t.Instructions != "" {
		return requeue(t, ""), nil
	}
	return []Effect{{Kind: Look}}, nil
}
