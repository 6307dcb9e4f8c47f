package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// River's SQLite driver asks the database for new jobs twenty times a second. All jobs of a SQLite database are
// inserted by this process, so that it can look when something was committed, and only now and then otherwise:
// an idle server rests, and a new job is found at once.
const (
	lookOnce  = 60 * time.Millisecond // gives River's listener the time for one more look
	lookPause = time.Second           // between looks when nothing was committed
)

// wokenDriver is River's driver with a listener that a commit wakes.
type wokenDriver struct {
	*riversqlite.Driver
	wake <-chan struct{}
}

var _ riverdriver.Driver[*sql.Tx] = wokenDriver{}

// GetListener is called by River, once per client.
func (d wokenDriver) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	return wokenListener{Listener: d.Driver.GetListener(p), wake: d.wake}
}

type wokenListener struct {
	riverdriver.Listener
	wake <-chan struct{}
}

// WaitForNotification blocks until there is news or ctx ends.
func (l wokenListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	timer := time.NewTimer(lookPause)
	defer timer.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, lookOnce)
		n, err := l.Listener.WaitForNotification(once)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return n, err
		}
		timer.Reset(lookPause)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// woke tells the listener that something was committed. It never blocks.
func (s *Store) woke() {
	select {
	case s.wake <- struct{}{}:
	default: // it is told already
	}
}
