// Package egress lets a confined process reach a few named hosts on the internet, and nothing else.
//
// Outside of the box stands a Proxy on a Unix socket, which is the box's only way out. Inside, ForwardMain starts the
// program and leads 127.0.0.1:3128 to that socket, so that the usual proxy variables work. Whatever the box sends is
// untrusted, the requests on the socket included: all decisions are made by the Proxy.
//
// It tunnels TLS to hosts that the repository's setting egress names, and only when the TLS client itself asks for
// that host; it resolves the name once, refuses addresses that are not public, and connects to an address it has checked.
//
// What it cannot see is what is said inside of TLS. Who may reach a host may tell it anything, and a host that serves
// many names, such as a content network, may be asked for another of them there. A rule with a star lets the box tell
// the name servers of that domain anything as well.
//
// This package must never import store, github, bus, handlers, flow or another part of runner.
package egress
