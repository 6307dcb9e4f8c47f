package egress

import "net/netip"

// public says whether packets to the address leave for the public internet, to one receiver. It refuses whatever
// IANA's special-purpose registries (RFC 6890) reserve, and the ways to write a private IPv4 address as IPv6.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	if a.Is4() {
		return !within(a, specialIPv4())
	}
	if netip.MustParsePrefix("64:ff9b::/96").Contains(a) {
		// NAT64 (RFC 6052): a host that has only IPv6 reaches the IPv4 address in the last four bytes.
		b := a.As16()
		return !within(netip.AddrFrom4([4]byte(b[12:])), specialIPv4())
	}
	// Only this block is given out as global unicast. Loopback, link-local, unique local, multicast and local NAT64
	// (64:ff9b:1::/48) are outside of it.
	return netip.MustParsePrefix("2000::/3").Contains(a) && !within(a, specialIPv6())
}

func within(a netip.Addr, blocks []string) bool {
	for _, b := range blocks {
		if netip.MustParsePrefix(b).Contains(a) {
			return true
		}
	}
	return false
}

func specialIPv4() []string {
	return []string{
		"0.0.0.0/8",          // this network, unspecified
		"10.0.0.0/8",         // private
		"100.64.0.0/10",      // carrier-grade NAT; Alibaba's metadata 100.100.100.200
		"127.0.0.0/8",        // loopback
		"168.63.129.16/32",   // Azure's platform address: public by number, the host's by meaning
		"169.254.0.0/16",     // link-local; metadata of most clouds 169.254.169.254
		"172.16.0.0/12",      // private
		"192.0.0.0/24",       // protocol assignments; Oracle's metadata 192.0.0.192
		"192.0.2.0/24",       // documentation
		"192.88.99.0/24",     // 6to4 relays
		"192.168.0.0/16",     // private
		"198.18.0.0/15",      // benchmarking
		"198.51.100.0/24",    // documentation
		"203.0.113.0/24",     // documentation
		"224.0.0.0/4",        // multicast
		"240.0.0.0/4",        // reserved
		"255.255.255.255/32", // broadcast
	}
}

func specialIPv6() []string {
	return []string{
		"2001::/23",     // protocol assignments: Teredo, benchmarking, ORCHID
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4: names an IPv4 address; no longer in use
		"3fff::/20",     // documentation
	}
}
