package main

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dozens/internal/scripted"
	"dozens/internal/testenv"
)

// canaries are values that no agent may ever see. Each is somewhere on the host where a curious agent would look. They
// are made up at run time, and stand in scripts only backwards, so that finding one proves that the host showed it.
type canaries struct{ prefix string }

func newCanaries() canaries { return canaries{prefix: "canary" + rand.Text()[:10]} }

func (c canaries) of(place string) string { return c.prefix + "-" + place }

func (c canaries) all(w *world) []string {
	app := w.GitHub.App()
	return []string{c.prefix, app.WebhookSecret, strings.Split(app.PrivateKey, "\n")[1]}
}

// backwards is a shell word that prints the text, which does not stand in it.
func backwards(text string) string {
	r := []rune(text)
	slices.Reverse(r)
	return "$(echo " + string(r) + " | rev)"
}

const ownSecret = "what-the-agent-may-see"

// raid is one attempt of an agent to reach what is not its own: a shell command whose output is its loot.
type raid struct {
	name, command string
	without       string // the canary that it brings without a sandbox; empty: not tried there
}

// raids are attempts to read; the worktree is the current folder, DATA/host/trees/NAME.
func raids(c canaries, port int) []raid {
	p := strconv.Itoa(port)
	return []raid{
		{"own worktree", `cat mine.txt`, ""}, // the control: a raid that may succeed
		{"another worktree", `ls -la ..; cat ../*/theirs.txt`, "tree"},
		{"anything of others", `find / \( -name theirs.txt -o -name theirs -o -name host-file \) -not -path '/proc/*' -exec cat {} +`, ""},
		{"a worktree by the mirror", `cat ../../mirrors/*/worktrees/*/*; git worktree list; for t in $(git worktree list --porcelain | sed -n 's/^worktree //p'); do cat $t/theirs.txt; done`, "tree"},
		{"another home", `cat ../../sessions/*/home/theirs; ls -la ../../sessions ../../journal; cat ../../journal/*`, "home"},
		{"files of the host", `cat ../../../../host-file /root/.bashrc /root/.ssh/* /etc/shadow /etc/ssl/private/* /var/lib/dozens/*; cat ../../../dozens.db ../../../../github/*/config; ls -la / /root /home /var /mnt /srv /opt /run`, "host"},
		{"the host by /proc", `for p in /proc/[0-9]*; do tr '\0' '\n' < $p/environ; tr '\0' ' ' < $p/cmdline; ls -la $p/cwd/ $p/fd; cat $p/root/etc/shadow $p/cwd/host-file $p/mountinfo; done`, "environment"},
		{"the host's environment", `env; cat /proc/self/environ /proc/1/environ /proc/$PPID/environ | tr '\0' '\n'`, ""},
		{"the host's loopback", `timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/` + p + ` && cat <&3'; timeout 3 bash -c 'exec 3<>/dev/tcp/localhost/` + p + ` && cat <&3'; for a in $(hostname -I); do timeout 2 bash -c "exec 3<>/dev/tcp/$a/` + p + ` && cat <&3"; done`, "loopback"},
		{"the metadata address", `timeout 3 bash -c 'exec 3<>/dev/tcp/169.254.169.254/80 && echo REACHED'; timeout 3 bash -c 'exec 3<>/dev/tcp/100.100.100.200/80 && echo REACHED'`, ""},
		{"the internet", `timeout 3 bash -c 'exec 3<>/dev/tcp/1.1.1.1/443 && echo REACHED'; timeout 3 bash -c 'exec 3<>/dev/tcp/8.8.8.8/53 && echo REACHED'; timeout 3 bash -c 'echo x >/dev/udp/8.8.8.8/53 && echo REACHED'; timeout 3 getent hosts github.com && echo REACHED; ls /sys/class/net; cat /proc/net/route`, ""},
		{"a credential in files", `P=` + backwards(c.prefix) + `; grep -rIas -e "$P" / --exclude-dir=proc --exclude-dir=usr --exclude-dir=sys --binary-files=text | head -c 20000`, ""},
		{"a credential in memory", `NEEDLE=` + backwards(c.prefix) + `; NEEDLE="${NEEDLE#?}" perl -e 'my $needle = delete $ENV{NEEDLE};
			for my $p (glob "/proc/[0-9]*") { my ($pid) = $p =~ /(\d+)$/; open(my $m, "<", "$p/maps") or next; open(my $x, "<", "$p/mem") or next; binmode $x;
				while (<$m>) { next unless /^([0-9a-f]+)-([0-9a-f]+) rw/; my ($a, $b) = (hex $1, hex $2); next if $b - $a > 1 << 28; seek($x, $a, 0); my $d = ""; read($x, $d, $b - $a) or next;
					my $i = 0; while (($i = index($d, $needle, $i)) >= 0) { print "pid $pid: ", substr($d, $i, 40) =~ s/[^ -~]/?/gr, "\n"; $i++ } } }'; echo searched`, ""},
		{"a credential behind sockets", `cat /proc/net/unix; find / -type s -not -path '/proc/*' 2>/dev/null; perl -e '
			use Socket; for my $path (glob("/run/*/*.sock /tmp/*.sock /run/*.sock /var/run/*.sock")) { for my $req ("GET / HTTP/1.0\r\n\r\n", "GET /v1/models HTTP/1.0\r\nx-api-key: $ENV{ANTHROPIC_API_KEY}\r\n\r\n", "GET /v1/organizations/me HTTP/1.0\r\nx-api-key: $ENV{ANTHROPIC_API_KEY}\r\n\r\n", "CONNECT github.com:443 HTTP/1.1\r\nHost: github.com\r\n\r\n") {
				socket(my $s, PF_UNIX, SOCK_STREAM, 0); connect($s, sockaddr_un($path)) or next; syswrite $s, $req; local $SIG{ALRM} = sub { die }; eval { alarm 3; while (sysread $s, my $d, 4096) { print $d } alarm 0 } } }'`, ""},
		{"more rights", `id; grep Cap /proc/self/status; sudo -n id; su -c id; unshare -Ur id; mount -t tmpfs x /mnt; chroot / id; nsenter -t 1 -a id; mknod d b 254 0; dd if=/dev/vda count=1; dd if=/dev/mem count=1; ls /dev; for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /dev/vda; do [ -w $f ] && echo REACHED $f; done; dmesg | head -3`, ""},
	}
}

// raider is a script whose agent of the issue "attack" makes all raids and whose agent of the issue "victim" holds secrets.
func raider(c canaries, all []raid) scripted.Script {
	steps := []scripted.Step{{Do: scripted.Write, Path: "mine.txt", Text: ownSecret + "\n"}, {Do: scripted.Shell, Text: "mkdir -p ~/loot"}}
	for n, r := range all {
		steps = append(steps, scripted.Step{Do: scripted.Shell, Text: fmt.Sprintf("( %s ) > ~/loot/%d 2>&1; echo tried >> ~/loot/%d", r.command, n, n)})
	}
	steps = append(steps, scripted.Step{Do: scripted.Write, Path: goOn, Text: "x"}, scripted.Step{Do: scripted.Hang})
	return scripted.Script{Rules: []scripted.Rule{
		{Kind: "code", Match: "be the victim", Runs: []scripted.Run{{Steps: []scripted.Step{
			{Do: scripted.Shell, Text: "echo " + backwards(c.of("tree")) + " > theirs.txt; echo " + backwards(c.of("home")) + " > ~/theirs"},
			{Do: scripted.Write, Path: here, Text: "x"}, {Do: scripted.Hang},
		}}}},
		{Kind: "code", Match: "be the attacker", Runs: []scripted.Run{{Steps: steps}}},
	}}
}

// plunder lets an agent make its raids beside another one and returns what each brought.
func plunder(t *testing.T, c canaries, bare bool) (w *world, all []raid, loot map[string]string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(c.of("loopback")))
			_ = conn.Close()
		}
	}()
	all = raids(c, ln.Addr().(*net.TCPAddr).Port)
	if bare { // only what can be done to a real machine without harm, and quickly
		all = slices.DeleteFunc(all, func(r raid) bool { return r.without == "" })
	}
	w = newWorld(t, options{bare: bare, script: raider(c, all),
		env: []string{"DOZENS_CANARY=" + c.of("environment"), "ANTHROPIC_API_KEY=sk-ant-" + c.of("model"), "AWS_SECRET_ACCESS_KEY=" + c.of("cloud")}})
	if err := os.WriteFile(filepath.Join(w.dir, "host-file"), []byte(c.of("host")), 0o600); err != nil {
		t.Fatal(err)
	}
	w.issue("Victim", "be the victim", "claude")
	w.eventually("the victim holds its secrets", func() bool { return len(w.marks(here)) == 1 })
	w.issue("Attacker", "be the attacker", "claude")
	w.eventually("all raids are made", func() bool { return len(w.marks(goOn)) == 1 })
	loot = map[string]string{}
	for n, r := range all {
		files, err := filepath.Glob(filepath.Join(w.dir, "data", "host", "sessions", "*", "home", "loot", strconv.Itoa(n)))
		if err != nil || len(files) != 1 {
			t.Fatalf("raid %q left no loot: %v %v", r.name, files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		loot[r.name] = string(text)
	}
	return w, all, loot
}

// TestHostileAgent: what an agent in the sandbox tries, it tries in vain.
func TestHostileAgent(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	c := newCanaries()
	w, all, loot := plunder(t, c, false)
	for _, r := range all {
		t.Run(r.name, func(t *testing.T) {
			got := loot[r.name]
			if !strings.Contains(got, "tried") {
				t.Errorf("the raid was not made: %q", got)
			}
			for _, secret := range c.all(w) {
				if strings.Contains(got, secret) {
					t.Errorf("the agent got %q:\n%.2000s", secret, got)
				}
			}
			if strings.Contains(got, "REACHED") || strings.Contains(got, "uid=0") {
				t.Errorf("the agent got out:\n%.2000s", got)
			}
			if r.name == "own worktree" && !strings.Contains(got, ownSecret) {
				t.Errorf("the control failed, so the others prove nothing: %q", got)
			}
		})
	}
}

// TestHostileAgentWithoutSandbox is the other control: without a sandbox the same raids do succeed, so they are real.
func TestHostileAgentWithoutSandbox(t *testing.T) {
	t.Parallel()
	c := newCanaries()
	_, all, loot := plunder(t, c, true)
	for _, r := range all {
		if !strings.Contains(loot[r.name], c.of(r.without)) {
			t.Errorf("%s: the raid is no raid, it brings nothing even without a sandbox:\n%.2000s", r.name, loot[r.name])
		}
	}
}

// TestRunawayAgent: what eats the machine is ended, with words, and the machine goes on.
func TestRunawayAgent(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	limits := []string{"DOZENS_RUN_MEMORY_MB=512", "DOZENS_RUN_PROCESSES=200", "DOZENS_RUN_DISK_MB=200", "DOZENS_RUN_FILE_MB=50"}
	for name, c := range map[string]struct{ command, says string }{
		"forks":               {`bash -c 'f() { f | f & }; f; sleep 60'; sleep 60`, "processes"},
		"eats memory":         {`perl -e 'my @a; push @a, "x" x 10_000_000 while 1; sleep 60'; sleep 60`, "memory"},
		"fills the worktree":  {`i=0; while :; do i=$((i+1)); head -c 20000000 /dev/zero > src/big$i || break; done; sleep 60`, "disk"},
		"fills its home":      {`i=0; while :; do i=$((i+1)); head -c 20000000 /dev/zero > ~/big$i || break; done; sleep 60`, "disk"},
		"writes a huge file":  {`head -c 100000000 /dev/zero > ~/huge; ls -l ~/huge | awk '{ if ($5 > 60000000) print "TOO BIG" }' > ~/grown; echo x > ~/here; sleep 600`, ""},
		"fills memory as tmp": {`i=0; while :; do i=$((i+1)); head -c 20000000 /dev/zero > /tmp/big$i || break; done; df -m /tmp | tail -1 | awk '{ if ($3 > 1100) print "TOO BIG" }' > ~/grown; echo x > ~/here; sleep 600`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{script: code(scripted.Step{Do: scripted.Shell, Text: c.command}, scripted.Step{Do: scripted.Hang}), env: limits})
			i := w.issue("Run away", "", "claude")
			if c.says == "" {
				w.eventually("it meets its bound", func() bool { return len(w.marks(here)) == 1 })
				if grown := w.marks("~/grown"); len(grown) > 0 {
					t.Errorf("it went past its bound: %v", grown)
				}
				return
			}
			w.eventually("the run is ended with words", func() bool { return w.said(i, c.says) > 0 })
			fresh, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
			if err != nil {
				t.Fatalf("the machine cannot start a process: %v", err)
			}
			_, _ = fresh.Wait()
		})
	}
}

// TestOutlivingAgent: nothing an agent starts is there after its run, however it hides.
func TestOutlivingAgent(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	hide := `env -i setsid sh -c 'trap "" TERM HUP INT; exec sleep 86397' > /dev/null 2>&1 < /dev/null &
		( perl -e 'use POSIX; fork and exit; setsid; fork and exit; %ENV = (); exec "sleep", "86397"' & ) ; sleep 0.2`
	w := newWorld(t, options{approves: true, script: code(better, scripted.Step{Do: scripted.Shell, Text: hide}, allDone)})
	w.settled(w.issue("Outlive", "", "claude"), 1)
	if pids := running(t, "86397"); len(pids) > 0 {
		t.Errorf("processes outlive the run: %v", pids)
	}
}

// TestPlantedGit: whatever an agent writes into git's folders and files, our git runs nothing of it, and the other
// task's branch stays its own.
func TestPlantedGit(t *testing.T) {
	t.Parallel()
	testenv.Bwrap(t)
	canary := filepath.Join(t.TempDir(), "fired")
	plant := `C="touch ` + canary + ` || touch fired-here"; G=$(git rev-parse --git-common-dir); A=$(git rev-parse --git-dir)
for h in pre-commit post-checkout pre-push reference-transaction post-index-change update pre-receive post-receive proc-receive fsmonitor-watchman; do mkdir -p $G/hooks $A/hooks; printf '#!/bin/sh\n%s\n' "$C" > $G/hooks/$h; chmod +x $G/hooks/$h; cp $G/hooks/$h $A/hooks/; done
cat >> $G/config <<EOF
[core]
	fsmonitor = "$C"
	hooksPath = $G/hooks
	sshCommand = "$C"
	askPass = "$C"
	alternateRefsCommand = "$C"
	attributesFile = $PWD/.evil-attributes
[filter "evil"]
	clean = "$C; cat"
	smudge = "$C; cat"
	process = "$C"
	required = true
[diff "evil"]
	textconv = "$C; cat"
	command = "$C"
[diff]
	external = "$C"
[merge "evil"]
	driver = "$C"
[credential]
	helper = "!$C"
[gpg]
	program = "$C"
[commit]
	gpgSign = true
[uploadpack]
	packObjectsHook = "$C"
[remote "origin"]
	uploadpack = "$C"
	receivepack = "$C"
	proxy = http://127.0.0.1:9
[url "ext::$C"]
	insteadOf = http
	insteadOf = https
[include]
	path = $PWD/evil-config
EOF
cp $G/config $A/config.worktree; git config extensions.worktreeConfig true
mkdir -p $G/info; echo '* filter=evil diff=evil merge=evil' > $G/info/attributes; echo '* filter=evil' > .evil-attributes
echo "$PWD/elsewhere" > $A/commondir; echo "$PWD/elsewhere" >> $G/objects/info/alternates; echo /etc > $G/objects/info/http-alternates
ln -sf ` + canary + ` $A/COMMIT_EDITMSG; ln -sf ` + canary + ` $G/FETCH_HEAD; rm -f $A/index.lock; ln -sf ` + canary + ` $A/ORIG_HEAD
for r in $(ls ../../mirrors/*/refs/heads/dozens 2>/dev/null); do echo evil; done
echo better > src/a.txt; printf '[core]\n\tworktree = /\n' >> $A/config.worktree
true`
	theirs := `( git update-ref refs/heads/$(git branch --show-current)x HEAD; for b in $(git for-each-ref --format='%(refname)' refs/heads refs/remotes; cat $(git rev-parse --git-common-dir)/packed-refs | awk '{print $2}'); do git update-ref $b HEAD; done
git push --force ` + `"$(git config remote.origin.url)"` + ` HEAD:refs/heads/main; git push origin HEAD:refs/heads/main ) > ~/tried 2>&1; true`
	shell := func(text string) scripted.Step { return scripted.Step{Do: scripted.Shell, Text: text} }
	w := newWorld(t, options{approves: true, script: scripted.Script{Rules: []scripted.Rule{
		{Kind: "code", Match: "be the victim", Runs: []scripted.Run{{Steps: []scripted.Step{
			{Do: scripted.Write, Path: "src/b.txt", Text: "mine\n"}, {Do: scripted.Commit, Text: "Mine"}, {Do: scripted.Write, Path: here, Text: "x"}, {Do: scripted.WaitFor, Path: goOn}, allDone,
		}}}},
		{Kind: "code", Match: "be the attacker", Runs: []scripted.Run{{Steps: []scripted.Step{better, {Do: scripted.Commit, Text: "Make it better"}, shell(theirs), shell(plant), allDone}}}},
	}}})
	victim := w.issue("Victim", "be the victim", "claude")
	w.eventually("the victim has committed", func() bool { return len(w.marks(here)) == 1 })
	attacker := w.issue("Attacker", "be the attacker", "claude")
	w.eventually("the attacker's work has ended one way or another", func() bool { return w.said(attacker, "dozens:final:") == 1 })
	w.mark(goOn)
	w.eventually("the victim's work is merged", func() bool { return w.said(victim, "merged, 0 failed") == 1 })
	if exists(canary) {
		t.Error("something that the agent planted ran outside of its box")
	}
	if text, _, err := w.Repo.File("main", "src/b.txt"); err != nil || text != "mine\n" {
		t.Errorf("the victim's file on main is %q, %v", text, err)
	}
}
