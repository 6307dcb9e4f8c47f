package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// Jobs makes the River client that works off the jobs of this database; arrived names the job that works off
// a lane of deliveries. To be called once, before the first transaction. The caller starts and stops it.
func (s *Store) Jobs(cfg *river.Config, arrived func(lane string) river.JobArgs) (*river.Client[*sql.Tx], error) {
	client, err := river.NewClient(wokenDriver{Driver: riversqlite.New(s.db), wake: s.wake}, cfg)
	if err != nil {
		return nil, fmt.Errorf("open job queue: %w", err)
	}
	s.jobs = client
	s.inbox.arrived = arrived
	return client, nil
}

// Recover makes the jobs and locks that a killed process left behind available at once, instead of when
// they time out. Only for a server that is alone on its database.
func (s *Store) Recover(ctx context.Context) error {
	if err := s.exec(ctx, "free jobs of the last process",
		`UPDATE river_job SET state = 'available', attempt = MAX(attempt - 1, 0) WHERE state = 'running'`); err != nil {
		return err
	}
	return s.exec(ctx, "free locks of the last process", `DELETE FROM locks`)
}
