package delivery

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// AttemptTimeout bounds one attempt to tell a receiver.
const AttemptTimeout = 10 * time.Second

// Guard connects to the outside only. It looks at the address that is about to be dialled, after any name was resolved, so
// that neither a spelling nor a name that changes its mind leads into the own network.
type Guard struct {
	Allow    []netip.Prefix // networks that may be reached although they are not outside
	Resolver *net.Resolver  // nil: the system's
}

// closed are the networks that are not the outside: RFC 6890 and its successors, forms that carry an IPv4 address, and the
// one public address at which a cloud (Azure) serves its machines from within.
var closed = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	"5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// Check says whether an address may be connected to.
func (g *Guard) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	for _, p := range g.Allow {
		if p.Contains(addr) {
			return nil
		}
	}
	for _, p := range closed {
		if p.Contains(addr) {
			return fmt.Errorf("%s is in the closed network %s: allow it by address in the receiver's 'allow', if it is meant", addr, p)
		}
	}
	return nil
}

// dialer dials with the check at the last moment.
func (g *Guard) dialer() *net.Dialer {
	return &net.Dialer{Timeout: AttemptTimeout / 2, Resolver: g.Resolver, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%s is no address: %w", address, err)
		}
		return g.Check(ap.Addr())
	}}
}

// Client is an HTTP client that dials through the guard, follows no redirect and uses no proxy.
func (g *Guard) Client() *http.Client {
	d := g.dialer()
	return &http.Client{
		Timeout:       AttemptTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return d.DialContext(ctx, network, addr)
			},
			MaxResponseHeaderBytes: longestAnswer,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        time.Minute,
			TLSHandshakeTimeout:    AttemptTimeout / 2,
		},
	}
}
