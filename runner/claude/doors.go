package claude

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"dozens/runner/meter"
	"dozens/runner/sandbox"
	"dozens/runner/sandbox/egress"
)

// doors are a run's ways out: to the model, and to the hosts that its repository allows. The caller closes them.
type doors struct {
	model  *meter.Session // nil: the agent finds its own way to the model
	egress *egress.Proxy  // nil: no other host can be reached
	env    []string       // what the agent has to know to use them
}

const (
	modelSocket  = "model.sock"
	egressSocket = "egress.sock"
)

// open opens the run's doors. Their sockets lie among the run's files.
func (d *Driver) open(s Session, f files, log *journal) (o doors, err error) {
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	if d.meter != nil {
		if err := d.openModel(s, f, log, &o); err != nil {
			return o, err
		}
	}
	if d.box == nil || len(s.Order.Egress) == 0 {
		return o, nil
	}
	rules, err := egress.Parse(s.Order.Egress)
	if err != nil {
		return o, err
	}
	l, err := listen(f.dir, egressSocket)
	if err != nil {
		return o, err
	}
	o.env = append(o.env, "NODE_USE_ENV_PROXY=1") // else node itself does not look at the proxy's variables
	o.egress = egress.Serve(l, egress.Options{Rules: rules, Say: log.host, Log: d.log})
	return o, nil
}

func (d *Driver) openModel(s Session, f files, log *journal, o *doors) error {
	listener, url := net.Listener(nil), "http://127.0.0.1"
	var err error
	if d.box != nil {
		listener, err = listen(f.dir, modelSocket)
	} else if listener, err = net.Listen("tcp", "127.0.0.1:0"); err == nil { //nolint:noctx // loopback: it does not wait
		url = "http://" + listener.Addr().String()
	}
	if err != nil {
		return fmt.Errorf("listen for the agent's calls to the model: %w", err)
	}
	if o.model, err = d.meter.Open(listener, meter.Budget{MicroUSD: s.Order.Limits.CostMicroUSD, Say: log.host}); err != nil {
		return err
	}
	o.env = []string{"ANTHROPIC_API_KEY=" + o.model.Token(), "ANTHROPIC_BASE_URL=" + url}
	if d.box != nil {
		// In the box there is no network: the program connects to this socket whatever the URL's host.
		o.env = append(o.env, "ANTHROPIC_UNIX_SOCKET="+filepath.Join(f.seen, modelSocket))
		return nil
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} { // else it would look for us behind the host's proxy
		o.env = append(o.env, name+"="+strings.TrimSuffix("127.0.0.1,"+valueOf(d.env, name), ","))
	}
	return nil
}

// valueOf is the value of a variable; empty: there is none.
func valueOf(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// listen makes a socket in a folder whose path may be too long for a socket's address: it is named by the folder's
// descriptor.
func listen(dir, name string) (net.Listener, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("make socket %s: %w", name, err)
	}
	defer folder.Close()
	at := filepath.Join("/proc/self/fd", strconv.Itoa(int(folder.Fd())), name)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make socket %s: %w", name, err)
	}
	l.SetUnlinkOnClose(false) // goes with the folder
	return l, nil
}

// close ends the calls that are under way and says what the model's were.
func (o doors) close() meter.Usage {
	if o.egress != nil {
		o.egress.Close()
	}
	if o.model == nil {
		return meter.Usage{}
	}
	return o.model.Close()
}

// boxed is the box of a run.
func (d *Driver) boxed(s Session, f files, o doors) sandbox.Box {
	box := sandbox.Box{Dir: s.Dir, Env: d.environ(s, f, o), Limits: d.limits}
	box.Binds = append(box.Binds, s.Binds...)
	box.Binds = append(box.Binds, sandbox.Bind{From: s.agentHome(), Write: true}, sandbox.Bind{From: filepath.Join(s.Home, "tmp"), To: tmpInBox, Write: true}, sandbox.Bind{From: f.dir, To: inBox})
	for _, folder := range s.Path {
		box.Binds = append(box.Binds, sandbox.Bind{From: folder})
	}
	box.Binds = append(box.Binds, d.programBinds()...)
	if o.egress != nil {
		box.Egress = filepath.Join(f.dir, egressSocket)
	}
	return box
}

// program is the agent's program without symbolic links, which lead to nowhere in a box: most ways to install claude make
// one. It is looked for anew each time, because an update may lead the link to another version.
func (d *Driver) program() string {
	if real, err := filepath.EvalSymlinks(d.binary); err == nil {
		return real
	}
	return d.binary // to start it says what is wrong
}

// programBinds is what of the agent's program a box has to be shown beside the system's folders: the file, or all of its
// package when it comes as one.
func (d *Driver) programBinds() []sandbox.Bind {
	program := d.program()
	switch {
	case strings.HasPrefix(program, "/usr/"):
		return nil
	case strings.Contains(filepath.Dir(program), "/node_modules/"):
		return []sandbox.Bind{{From: filepath.Dir(program)}}
	}
	return []sandbox.Bind{{From: program}}
}
