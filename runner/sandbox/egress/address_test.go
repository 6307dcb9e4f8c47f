package egress

import (
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		addr string
		want bool
		why  string
	}{
		{"8.8.8.8", true, "public"},
		{"104.16.0.34", true, "public"},
		{"1.1.1.1", true, "public"},
		{"9.255.255.255", true, "just below a private block"},
		{"11.0.0.0", true, "just above it"},
		{"100.63.255.255", true, "just below carrier-grade NAT"},
		{"100.128.0.0", true, "just above it"},
		{"172.15.255.255", true, "just below a private block"},
		{"172.32.0.0", true, "just above it"},
		{"198.17.255.255", true, "just below benchmarking"},
		{"198.20.0.0", true, "just above it"},
		{"223.255.255.255", true, "just below multicast"},
		{"::ffff:8.8.8.8", true, "a public address, mapped"},
		{"64:ff9b::8.8.8.8", true, "a public address behind NAT64"},
		{"2606:4700::6810:22", true, "public"},
		{"2a00:1450:4001:80b::200e", true, "public"},
		{"2001:200::1", true, "public"},

		{"0.0.0.0", false, "unspecified"},
		{"0.1.2.3", false, "this network"},
		{"10.0.0.1", false, "private"},
		{"10.255.255.255", false, "private"},
		{"172.16.0.1", false, "private"},
		{"172.31.255.255", false, "private"},
		{"192.168.0.1", false, "private"},
		{"100.64.0.1", false, "carrier-grade NAT"},
		{"100.127.255.255", false, "carrier-grade NAT"},
		{"127.0.0.1", false, "loopback"},
		{"127.255.255.254", false, "loopback"},
		{"169.254.1.1", false, "link-local"},
		{"169.254.169.254", false, "metadata of most clouds"},
		{"169.254.170.2", false, "metadata of containers"},
		{"100.100.100.200", false, "metadata of Alibaba"},
		{"192.0.0.192", false, "metadata of Oracle"},
		{"168.63.129.16", false, "platform of Azure"},
		{"192.0.2.1", false, "documentation"},
		{"198.51.100.1", false, "documentation"},
		{"203.0.113.1", false, "documentation"},
		{"192.88.99.1", false, "6to4 relay"},
		{"198.18.0.1", false, "benchmarking"},
		{"198.19.255.255", false, "benchmarking"},
		{"224.0.0.1", false, "multicast"},
		{"239.255.255.250", false, "multicast"},
		{"240.0.0.1", false, "reserved"},
		{"255.255.255.255", false, "broadcast"},

		{"::", false, "unspecified"},
		{"::1", false, "loopback"},
		{"::127.0.0.1", false, "IPv4-compatible"},
		{"::8.8.8.8", false, "IPv4-compatible, no longer in use"},
		{"::ffff:127.0.0.1", false, "loopback, mapped"},
		{"::ffff:10.0.0.1", false, "private, mapped"},
		{"::ffff:169.254.169.254", false, "metadata, mapped"},
		{"::ffff:0:10.0.0.1", false, "private, translated"},
		{"64:ff9b::127.0.0.1", false, "loopback behind NAT64"},
		{"64:ff9b::10.0.0.1", false, "private behind NAT64"},
		{"64:ff9b::169.254.169.254", false, "metadata behind NAT64"},
		{"64:ff9b:1::8.8.8.8", false, "local NAT64"},
		{"64:ff9b:0:1::8.8.8.8", false, "beside NAT64"},
		{"100::1", false, "discard"},
		{"2001::1", false, "Teredo"},
		{"2001:0:a00:1::", false, "Teredo"},
		{"2001:2::1", false, "benchmarking"},
		{"2001:10::1", false, "ORCHID"},
		{"2001:20::1", false, "ORCHID"},
		{"2001:db8::1", false, "documentation"},
		{"3fff::1", false, "documentation"},
		{"2002:7f00:1::", false, "6to4 of loopback"},
		{"2002:a00:1::1", false, "6to4 of private"},
		{"2002:808:808::1", false, "6to4"},
		{"5f00::1", false, "segment routing"},
		{"fc00::1", false, "unique local"},
		{"fd00:ec2::254", false, "metadata of AWS"},
		{"fd20:ce::254", false, "metadata of Google"},
		{"fe80::1", false, "link-local"},
		{"fe80::1%eth0", false, "link-local with a zone"},
		{"2606:4700::1%eth0", false, "a zone"},
		{"fec0::1", false, "site-local"},
		{"ff02::1", false, "multicast"},
		{"ff0e::1", false, "multicast"},
	} {
		if got := public(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("public(%s): got %t, want %t: %s", tt.addr, got, tt.want, tt.why)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// What Go's own library knows to be special is never public.
func FuzzPublic(f *testing.F) {
	for _, s := range []string{"8.8.8.8", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2606:4700::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok || !public(a) {
			return
		}
		if u := a.Unmap(); u.IsPrivate() || u.IsLoopback() || u.IsMulticast() || u.IsUnspecified() || u.IsLinkLocalUnicast() || !u.IsGlobalUnicast() {
			t.Errorf("%s is taken for public", a)
		}
	})
}
