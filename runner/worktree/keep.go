package worktree

import "context"

// moveBranch keeps what the branch held if the new commit does not build on it.
func (p *seat) moveBranch(ctx context.Context, commit string) error {
	tip, err := p.mirror.resolve(ctx, p.spec.ref())
	if err != nil || tip == commit {
		return err
	}
	if tip != "" {
		ok, err := p.mirror.descends(ctx, commit, tip)
		if err != nil {
			return err
		}
		if !ok {
			if err := p.keep(ctx, tip); err != nil {
				return err
			}
		}
	}
	return p.mirror.setRef(ctx, p.spec.ref(), commit)
}

// keep makes sure that a commit which only this host has stays reachable: as refs/dozens/kept/TASK, or with the
// commit's name behind it when something else is kept already.
func (p *seat) keep(ctx context.Context, commit string) error {
	if known, err := p.mirror.known(ctx, commit); known || err != nil {
		return err
	}
	ref := p.spec.kept()
	have, err := p.mirror.resolve(ctx, ref)
	if err != nil || have == commit {
		return err
	}
	if have != "" {
		covered, err := p.mirror.descends(ctx, have, commit)
		if covered || err != nil {
			return err
		}
		grown, err := p.mirror.descends(ctx, commit, have)
		if err != nil {
			return err
		}
		if !grown {
			ref += "-" + commit[:12]
		}
	}
	p.t.log.Info().Str("task", p.spec.Task).Str("sha", commit).Str("ref", ref).Msg("commits kept")
	return p.mirror.setRef(ctx, ref, commit)
}
