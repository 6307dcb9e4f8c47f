package egress

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// readAll reads a hello that is all in the buffer, or comes byte by byte.
func readAll(t testing.TB, b []byte, slow bool) (seen []byte, spoken bool, why string) {
	t.Helper()
	c, other := net.Pipe()
	defer c.Close()
	other.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if slow {
		return readHello(context.WithoutCancel(t.Context()), c, iotest.OneByteReader(bytes.NewReader(b)), host)
	}
	return readHello(context.WithoutCancel(t.Context()), c, bytes.NewReader(b), host)
}

func TestReadHello(t *testing.T) {
	t.Parallel()
	hello := plainHello(t)
	for name, tt := range map[string]struct {
		bytes  []byte
		spoken bool
		why    string
	}{
		"as it should be":         {hello, true, ""},
		"with more behind it":     {append(bytes.Clone(hello), "more"...), true, ""},
		"upper case":              {helloOf(t, &tls.Config{ServerName: "EXAMPLE.com"}), true, ""},
		"TLS 1.2":                 {helloOf(t, &tls.Config{ServerName: host, MaxVersion: tls.VersionTLS12}), true, ""},
		"TLS 1.0":                 {helloOf(t, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}), true, ""},
		"in many records":         {fragment(hello, 50), true, ""},
		"another host":            {helloOf(t, asks("evil.example")), true, "TLS for another host, evil.example"},
		"a host below":            {helloOf(t, &tls.Config{ServerName: "www." + host}), true, "TLS for another host, www.example.com"},
		"no host":                 {helloOf(t, asks("")), true, "TLS without a host name"},
		"an address":              {helloOf(t, asks("10.0.0.1")), true, "TLS without a host name"},
		"encrypted":               {helloOf(t, asksHidden(t)), true, "encrypted hello"},
		"plain HTTP":              {[]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), false, "not TLS"},
		"SSH":                     {[]byte("SSH-2.0-OpenSSH_9.6\r\n"), false, "not TLS"},
		"old SSL":                 {append([]byte{0x80, 0x2e, 1, 3, 1}, make([]byte, 60)...), false, "not TLS"},
		"half of it":              {hello[:len(hello)/2], false, "not TLS"},
		"nothing":                 {nil, false, "said nothing"},
		"an unknown extension":    {extend(hello, []byte{0xfa, 0xce, 0, 2, 1, 1}), true, ""},
		"the name twice":          {twoNames(t, hello), false, "not TLS"},
		"a record that says more": {append([]byte{22, 3, 1, 0xff, 0xff}, make([]byte, 1<<17)...), false, "not TLS"},
		"a hello that says more":  {append([]byte{22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff}, make([]byte, 1<<17)...), false, "not TLS"},
		"only an alert":           {denied(), false, "not TLS"},
		"empty records":           {bytes.Repeat([]byte{22, 3, 1, 0, 0}, 10000), false, "not TLS"},
	} {
		for _, slow := range []bool{false, true} {
			seen, spoken, why := readAll(t, tt.bytes, slow)
			if spoken != tt.spoken || (why == "") != (tt.why == "") || !strings.Contains(why, tt.why) {
				t.Errorf("%s (slow %t): got %t, %q, want %t, %q", name, slow, spoken, why, tt.spoken, tt.why)
			}
			if !bytes.HasPrefix(tt.bytes, seen) {
				t.Errorf("%s (slow %t): what was seen is not what was sent", name, slow)
			}
			if len(seen) > 80<<10 {
				t.Errorf("%s (slow %t): %d bytes were read", name, slow, len(seen))
			}
		}
	}
}

// asks is a client that asks for this name; for none when it is empty or an address.
func asks(name string) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true}
}

// asksHidden is a client that asks openly for host, and for another one where nobody sees it.
func asksHidden(t testing.TB) *tls.Config {
	return &tls.Config{ServerName: "hidden.example", EncryptedClientHelloConfigList: echConfig(t, host)}
}

// fragment cuts the one record of a hello into records of so many bytes.
func fragment(hello []byte, size int) []byte {
	var out []byte
	for body := hello[5:]; len(body) > 0; body = body[min(size, len(body)):] {
		n := min(size, len(body))
		out = append(out, 22, 3, 1, byte(n>>8), byte(n))
		out = append(out, body[:n]...)
	}
	return out
}

// nameExtension is where the extension with the host name lies in a hello, with its length.
func nameExtension(t testing.TB, hello []byte) (at, length int) {
	t.Helper()
	at = bytes.Index(hello, []byte(host)) - 9
	if at < 0 || hello[at] != 0 || hello[at+1] != 0 {
		t.Fatal("no host name in the hello")
	}
	return at, 9 + len(host)
}

// twoNames says the extension with the host name twice, the second time with another name.
func twoNames(t testing.TB, hello []byte) []byte {
	at, length := nameExtension(t, hello)
	return extend(hello, bytes.Replace(hello[at:at+length], []byte(host), []byte("evil.sample"), 1))
}

// extend adds an extension to a hello.
func extend(hello, extension []byte) []byte {
	out := append(bytes.Clone(hello), extension...)
	grow := func(at, size int) {
		b := make([]byte, 4)
		copy(b[4-size:], out[at:at+size])
		binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)+uint32(len(extension)))
		copy(out[at:], b[4-size:])
	}
	grow(3, 2) // record
	grow(6, 3) // message
	session := 5 + 4 + 2 + 32
	suites := session + 1 + int(hello[session])
	methods := suites + 2 + int(binary.BigEndian.Uint16(hello[suites:]))
	grow(methods+1+int(hello[methods]), 2) // extensions
	return out
}

// echConfig is a list with one configuration for encrypted hellos, of a server with this public name (RFC 9849, 4).
func echConfig(t testing.TB, public string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	put := func(b []byte, v ...uint16) []byte {
		for _, n := range v {
			b = binary.BigEndian.AppendUint16(b, n)
		}
		return b
	}
	body := put([]byte{7}, 0x0020, 32) // id, X25519, length of the key
	body = append(body, key.PublicKey().Bytes()...)
	body = put(body, 4, 1, 1) // one suite: HKDF-SHA256, AES-128-GCM
	body = append(body, 64, byte(len(public)))
	body = append(body, public...)
	body = put(body, 0) // extensions
	config := append(put(nil, 0xfe0d, uint16(len(body))), body...)
	return append(put(nil, uint16(len(config))), config...)
}

func FuzzReadHello(f *testing.F) {
	hello := plainHello(f)
	f.Add(hello)
	f.Add(fragment(hello, 50))
	f.Add(twoNames(f, hello))
	f.Add(helloOf(f, asks("evil.example")))
	f.Add(helloOf(f, asksHidden(f)))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		seen, spoken, why := readAll(t, b, false)
		if !bytes.HasPrefix(b, seen) {
			t.Error("what was seen is not what was sent")
		}
		if why != "" {
			return
		}
		// Accepted: the extension with the name must be there, letter by letter, in whatever records.
		var message []byte
		for rest := seen; len(rest) > 5; {
			n := min(len(rest)-5, int(binary.BigEndian.Uint16(rest[3:])))
			message = append(message, rest[5:5+n]...)
			rest = rest[5+n:]
		}
		if !spoken || !bytes.Contains(bytes.ToLower(message), []byte("\x00\x00\x0b"+host)) {
			t.Errorf("accepted without the name: %x", b)
		}
	})
}
