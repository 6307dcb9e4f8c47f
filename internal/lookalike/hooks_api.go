package lookalike

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
)

// SetWebhook says where the App's webhooks go, and sends a ping there. Until then nothing is sent or logged;
// "" switches them off again.
func (g *GitHub) SetWebhook(url string) {
	s := g.hooks
	s.mu.Lock()
	s.url = url
	s.mu.Unlock()
	if url == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.emit("ping", "", nil, nil, obj{"zen": "Speak like a human.", "hook_id": s.hookID, "hook": obj{"type": "App", "id": s.hookID,
		"name": "web", "active": true, "events": g.eventsJSON(), "config": obj{"content_type": "json", "insecure_ssl": "0", "url": url},
		"updated_at": stamp(g.now()), "created_at": stamp(g.now()), "app_id": g.app.id, "deliveries_url": g.api("/app/hook/deliveries")}})
}

// tune changes a knob under the lock and wakes the sender.
func (s *sender) tune(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.touch()
}

// Lose makes deliveries fail that lost picks: they stand in the delivery log as failed and never arrive.
// Redeliveries are not lost. nil ends it. The function runs under the queue's lock: it must not call back.
func (g *GitHub) Lose(lost func(Delivery) bool) { g.hooks.tune(func() { g.hooks.lose = lost }) }

// LoseFraction loses that share of deliveries (0 to 1), chosen by a generator with that seed.
func (g *GitHub) LoseFraction(share float64, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, seed))
	g.Lose(func(Delivery) bool { return dice.Float64() < share })
}

// Double sends those that twice picks two times, with the same GUID. nil ends it.
func (g *GitHub) Double(twice func(Delivery) bool) { g.hooks.tune(func() { g.hooks.double = twice }) }

// Hold keeps those back that held picks, until Release. nil ends it for what comes.
func (g *GitHub) Hold(held func(Delivery) bool) { g.hooks.tune(func() { g.hooks.hold = held }) }

// Release ends Hold and queues what was held back, behind everything that waits.
func (g *GitHub) Release() {
	s := g.hooks
	s.tune(func() { s.hold, s.queue, s.held = nil, append(s.queue, s.held...), nil })
}

// Pause stops sending; what happens meanwhile waits. Resume goes on.
func (g *GitHub) Pause() { g.hooks.tune(func() { g.hooks.paused = true }) }

// Resume goes on sending after Pause.
func (g *GitHub) Resume() { g.hooks.tune(func() { g.hooks.paused = false }) }

// Shuffle sends what waits in random order, by a generator with that seed; 0 sends in order again. With
// Pause and Resume around a story all of it is out of order.
func (g *GitHub) Shuffle(seed uint64) {
	g.hooks.tune(func() {
		g.hooks.shuffle = nil
		if seed != 0 {
			g.hooks.shuffle = rand.New(rand.NewPCG(seed, seed))
		}
	})
}

// Drain waits until nothing is queued or on its way. What Hold keeps back does not count; while paused it
// waits for Resume.
func (g *GitHub) Drain(ctx context.Context) error {
	s := g.hooks
	for {
		s.mu.Lock()
		idle, changed := len(s.queue) == 0 && !s.busy, s.changed
		s.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("drain webhooks: %w", ctx.Err())
		case <-g.ctx.Done():
			return fmt.Errorf("drain webhooks: %w", g.ctx.Err())
		case <-changed:
		}
	}
}

// Deliveries is the delivery log: every attempt, oldest first.
func (g *GitHub) Deliveries() []Delivery {
	g.hooks.mu.Lock()
	defer g.hooks.mu.Unlock()
	return slices.Clone(g.hooks.log)
}

// Redeliver sends a delivery of the log again, with its GUID.
func (g *GitHub) Redeliver(id int64) error {
	s := g.hooks
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.log {
		if d.ID == id {
			s.queue = append(s.queue, Delivery{GUID: d.GUID, Event: d.Event, Action: d.Action, Repository: d.Repository,
				Installation: d.Installation, Redelivery: true, Payload: d.Payload})
			s.touch()
			return nil
		}
	}
	return fmt.Errorf("redeliver %d: no such delivery", id)
}

// deliveryJSON is one line of the log; whole adds request and response.
func deliveryJSON(d Delivery, whole bool) obj {
	out := obj{"id": d.ID, "guid": d.GUID, "delivered_at": stamp(d.At), "redelivery": d.Redelivery, "duration": d.Duration.Seconds(),
		"status": d.Status, "status_code": d.StatusCode, "event": d.Event, "action": orNil(d.Action), "throttled_at": nil,
		"installation_id": nil, "repository_id": nil}
	if d.Installation != 0 {
		out["installation_id"] = d.Installation
	}
	if d.Repository != 0 {
		out["repository_id"] = d.Repository
	}
	if whole {
		out["url"] = ""
		out["request"] = obj{"headers": flat(d.Header), "payload": json.RawMessage(d.Payload)}
		out["response"] = obj{"headers": flat(d.ResponseHeader), "payload": d.Response}
	}
	return out
}

func flat(h http.Header) obj {
	out := obj{}
	for k := range h {
		out[k] = h.Get(k)
	}
	return out
}

// listDeliveries pages by cursor, newest first, as GitHub does.
func listDeliveries(c *call) (reply, error) {
	size := min(c.queryInt("per_page", 30), 100)
	before := int64(1<<62 - 1)
	if cursor := c.query("cursor"); cursor != "" {
		n, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil {
			return reply{}, no(http.StatusBadRequest, "Invalid cursor")
		}
		before = n
	}
	log := c.g.Deliveries()
	slices.SortFunc(log, func(a, b Delivery) int { return int(b.ID - a.ID) })
	list := []any{}
	for _, d := range log {
		want := c.query("status")
		if d.ID >= before || (want == "success" && !d.OK()) || (want == "failure" && d.OK()) {
			continue
		}
		if len(list) == size {
			q := c.r.URL.Query()
			q.Set("cursor", fmt.Sprint(list[size-1].(obj)["id"]))
			c.link = c.linkTo(q, "next")
			break
		}
		list = append(list, deliveryJSON(d, false))
	}
	return ok(list)
}

func (c *call) delivery() (Delivery, error) {
	return byID(c, "delivery_id", c.g.Deliveries(), func(d Delivery) int64 { return d.ID })
}

func getDelivery(c *call) (reply, error) {
	d, err := c.delivery()
	if err != nil {
		return reply{}, err
	}
	return ok(deliveryJSON(d, true))
}

func redeliver(c *call) (reply, error) {
	d, err := c.delivery()
	if err != nil {
		return reply{}, err
	}
	if err := c.g.Redeliver(d.ID); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusAccepted, body: obj{}}, nil
}

func getHookConfig(c *call) (reply, error) {
	c.g.hooks.mu.Lock()
	defer c.g.hooks.mu.Unlock()
	return ok(obj{"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": c.g.hooks.url})
}

func setHookConfig(c *call) (reply, error) {
	var in struct {
		URL *string `json:"url"`
	}
	if err := c.read(&in); err != nil {
		return reply{}, err
	}
	if in.URL != nil {
		c.g.hooks.tune(func() { c.g.hooks.url = *in.URL })
	}
	return getHookConfig(c)
}
