-- Everything that has state. A row's document in "data" is the one truth; the columns beside it are generated
-- from it, for indexes and for people with a SQL prompt. The same text runs on SQLite and on PostgreSQL.

CREATE TABLE deliveries (
    id           TEXT PRIMARY KEY,           -- X-GitHub-Delivery
    seq          BIGINT NOT NULL,            -- order of arrival
    event        TEXT NOT NULL,
    action       TEXT NOT NULL,
    lane         TEXT NOT NULL,              -- worked off one after another
    installation BIGINT NOT NULL,
    payload      BYTEA NOT NULL,
    state        TEXT NOT NULL,              -- new · done · noted · dead
    note         TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    arrived_at   TEXT NOT NULL,
    done_at      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX deliveries_lane ON deliveries (lane, seq) WHERE state = 'new';
CREATE UNIQUE INDEX deliveries_seq ON deliveries (seq);

CREATE TABLE batches (
    id    TEXT PRIMARY KEY,
    data  JSONB NOT NULL,
    repo  BIGINT GENERATED ALWAYS AS (CAST(data -> 'repo' ->> 'id' AS BIGINT)) STORED,
    issue BIGINT GENERATED ALWAYS AS (CAST(data ->> 'issue' AS BIGINT)) STORED,
    stage TEXT GENERATED ALWAYS AS (data ->> 'stage') STORED
);
-- One batch at a time on an issue: a label and a comment at once start one.
CREATE UNIQUE INDEX batches_open ON batches (repo, issue) WHERE stage IN ('plan', 'approval', 'work');

CREATE TABLE plans (
    batch TEXT PRIMARY KEY,
    data  JSONB NOT NULL
);

CREATE TABLE tasks (
    id         TEXT PRIMARY KEY,
    data       JSONB NOT NULL,
    batch      TEXT GENERATED ALWAYS AS (data ->> 'batch') STORED,
    repo       BIGINT GENERATED ALWAYS AS (CAST(data -> 'repo' ->> 'id' AS BIGINT)) STORED,
    label      TEXT GENERATED ALWAYS AS (data ->> 'label') STORED,
    stage      TEXT GENERATED ALWAYS AS (data ->> 'stage') STORED,
    waiting    TEXT GENERATED ALWAYS AS (COALESCE(data ->> 'waiting', '')) STORED,
    generation BIGINT GENERATED ALWAYS AS (CAST(data ->> 'generation' AS BIGINT)) STORED,
    host       TEXT GENERATED ALWAYS AS (COALESCE(data ->> 'host', '')) STORED,
    branch     TEXT GENERATED ALWAYS AS (data ->> 'branch') STORED,
    pushed     TEXT GENERATED ALWAYS AS (COALESCE(data ->> 'pushed', '')) STORED,
    pr         BIGINT GENERATED ALWAYS AS (CAST(COALESCE(data ->> 'pr', '0') AS BIGINT)) STORED
);
CREATE INDEX tasks_batch ON tasks (batch);
CREATE INDEX tasks_stage ON tasks (stage) WHERE stage NOT IN ('done', 'failed', 'cancelled');
CREATE INDEX tasks_pr ON tasks (repo, pr);
CREATE INDEX tasks_pushed ON tasks (pushed);

-- The audit trail: one row per transition, never changed.
CREATE TABLE events (
    seq    BIGINT PRIMARY KEY,
    at     TEXT NOT NULL,
    batch  TEXT NOT NULL,
    task   TEXT NOT NULL,
    signal TEXT NOT NULL,
    stage_from TEXT NOT NULL,
    stage_to   TEXT NOT NULL,
    data   JSONB NOT NULL
);
CREATE INDEX events_task ON events (task, seq);
CREATE INDEX events_batch ON events (batch, seq);

-- Who holds what work: a host's claim. A result that matches no open lease is refused.
CREATE TABLE leases (
    offer      TEXT PRIMARY KEY,             -- task.generation.kind
    task       TEXT NOT NULL,
    generation BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    host       TEXT NOT NULL,
    token      TEXT NOT NULL,                -- SHA-256 of the git token that was minted, for the audit trail
    taken_at   TEXT NOT NULL,
    ended_at   TEXT NOT NULL DEFAULT '',
    outcome    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX leases_open ON leases (host) WHERE ended_at = '';
CREATE INDEX leases_task ON leases (task) WHERE ended_at = '';

CREATE TABLE hosts (
    name    TEXT PRIMARY KEY,
    slots   INTEGER NOT NULL,
    seen_at TEXT NOT NULL
);

-- Comments we wrote, by what they are about, so that each is written once.
CREATE TABLE said (
    key     TEXT PRIMARY KEY,
    comment BIGINT NOT NULL,
    digest  TEXT NOT NULL,
    at      TEXT NOT NULL
);

-- Short claims between replicas: a lane of deliveries, a base branch that is being merged to.
CREATE TABLE locks (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  TEXT NOT NULL
);

-- How often a look at a pull request was asked for and carried out: ten events at once cause one look.
CREATE TABLE looks (
    task   TEXT PRIMARY KEY,
    wanted BIGINT NOT NULL,
    done   BIGINT NOT NULL
);
