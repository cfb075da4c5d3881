package delivery_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/earshot/earshot/sinks/delivery"
)

// resolver answers every question of a name with an address: by turns, so that a name can change its mind.
func resolver(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	var turn atomic.Int64
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			q := b[:n]
			end := 12
			for end < n && q[end] != 0 {
				end += int(q[end]) + 1
			}
			end += 5
			answer := append([]byte(nil), q[:end]...)
			answer[2], answer[3] = 0x81, 0x80
			binary.BigEndian.PutUint16(answer[8:], 0)
			binary.BigEndian.PutUint16(answer[10:], 0)
			if kind := binary.BigEndian.Uint16(q[end-4:]); kind == 1 {
				ip := netip.MustParseAddr(addresses[int(turn.Add(1)-1)%len(addresses)]).As4()
				binary.BigEndian.PutUint16(answer[6:], 1)
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				answer = append(answer, ip[:]...)
			}
			c.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// spellings of addresses that are not outside. A name is answered with an address of the own machine.
var spellings = []string{
	"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "0177.0.0.01", "017700000001", "0", "0.0.0.0", "127.255.255.254",
	"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[::127.0.0.1]", "[::ffff:10.1.2.3]",
	"localhost", "LOCALHOST", "localhost.", "127.0.0.1.", "127.0.0.1.nip.example", "rebind.example", "①②⑦.⓪.⓪.①", "127。0。0。1",
	"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
	"224.0.0.1", "240.0.0.1", "255.255.255.255",
	"[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]",
	"[2001:0:53aa:64c:0:0:80ff:fffe]", "[2001:db8::1]", "[100::1]", "user:pass@127.0.0.1", "example.org@127.0.0.1", "127.0.0.1%2f@127.0.0.1",
}

func TestNoSpellingLeadsInside(t *testing.T) {
	if len(spellings) < 40 {
		t.Fatalf("%d spellings", len(spellings))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var reached atomic.Int64
	go http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	_, port, _ := net.SplitHostPort(l.Addr().String())
	client := (&delivery.Guard{Resolver: resolver(t, "127.0.0.1")}).Client()
	for _, host := range spellings {
		resp, err := client.Post("http://"+host+":"+port+"/", "application/json", strings.NewReader("{}"))
		if err == nil {
			resp.Body.Close()
			t.Errorf("%s was reached", host)
		}
	}
	if reached.Load() > 0 {
		t.Errorf("the server inside was reached %d times", reached.Load())
	}
	// The same server is reached when it is allowed by address, whatever its name: the test above is not blind.
	allowed := (&delivery.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Resolver: resolver(t, "127.0.0.1")}).Client()
	for _, host := range []string{"127.0.0.1", "anything.example"} {
		resp, err := allowed.Post("http://"+host+":"+port+"/", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Errorf("%s, allowed: %v", host, err)
			continue
		}
		resp.Body.Close()
	}
}

// The first and last address of what is closed, and their neighbours outside, in every form that carries them.
func TestWhichAddressesAreClosed(t *testing.T) {
	for _, c := range []struct {
		closed bool
		of     string
	}{
		{true, "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.0 169.254.169.254 169.254.255.255"},
		{true, "172.16.0.0 172.31.255.255 192.0.0.8 192.0.2.255 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 203.0.113.255"},
		{true, "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::ffff:0:7f00:1 64:ff9b::7f00:1 64:ff9b:1::1"},
		{true, "100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fdff:ffff::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 feff::1 ff02::1"},
		{false, "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0"},
		{false, "192.0.1.1 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 2001:200::1 2600::1 2a00:1450::1"},
	} {
		for address := range strings.FieldsSeq(c.of) {
			if err := new(delivery.Guard).Check(netip.MustParseAddr(address)); (err != nil) != c.closed {
				t.Errorf("%s: closed %v, want %v", address, err, c.closed)
			}
		}
	}
	g := &delivery.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for address, open := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": false} {
		if err := g.Check(netip.MustParseAddr(address)); (err == nil) != open {
			t.Errorf("with 10.1.0.0/16 allowed, %s: %v", address, err)
		}
	}
}

// A name that was outside when it was looked up first and is inside when it is dialled does not get through.
func TestANameThatChangesItsMind(t *testing.T) {
	g := &delivery.Guard{}
	for _, outside := range []string{"93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "8.8.8.8"} {
		if err := g.Check(netip.MustParseAddr(outside)); err != nil {
			t.Errorf("the outside is closed: %v", err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r := resolver(t, "93.184.216.34", "127.0.0.1")
	if ips, err := r.LookupHost(t.Context(), "rebind.example"); err != nil || ips[0] != "93.184.216.34" {
		t.Fatalf("%v %v", ips, err)
	}
	client := (&delivery.Guard{Resolver: r}).Client()
	if _, err := client.Get("http://rebind.example:" + port + "/"); err == nil || !strings.Contains(err.Error(), "closed network") {
		t.Errorf("the second answer: %v", err)
	}
}
