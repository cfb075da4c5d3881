package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"
)

// Email sends a message through a mail server. Its Message-ID is made of the delivery's key, by which a mailbox may drop a
// repetition.
type Email struct {
	name, host, from string
	to               []string
	user             string
	password         Secret
	security         string // starttls, implicit or none
	guard            *Guard
	tls              *tls.Config // nil: the system's authorities
}

// Name is the receiver's name.
func (r *Email) Name() string { return r.name }

// Traits: a mailbox drops a repetition at best. That somebody looks after an alert is no reason for a mail.
func (r *Email) Traits() Traits { return Traits{Forgetful: true} }

// Deliver sends the message. A reply of 5xx is final, anything else is tried again.
func (r *Email) Deliver(ctx context.Context, n Notification) error {
	err := r.send(ctx, n)
	if err == nil {
		return nil
	}
	var reply *textproto.Error
	answered := errors.As(err, &reply)
	return &Error{r.name, err.Error(), answered && reply.Code >= 500, !answered && errors.Is(err, errNoAnswer)}
}

// errNoAnswer is the fault of a mail that was sent whole, unless the server's reply follows.
var errNoAnswer = errors.New("hand over the mail")

func (r *Email) send(ctx context.Context, n Notification) error {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	server, _, err := net.SplitHostPort(r.host)
	if err != nil {
		return fmt.Errorf("the mail server's address: %w", err)
	}
	conn, err := r.guard.dialer().DialContext(ctx, "tcp", r.host)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	secure := &tls.Config{ServerName: server}
	if r.tls != nil {
		secure = r.tls.Clone()
		secure.ServerName = server
	}
	if r.security == "implicit" {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, server)
	if err != nil {
		return fmt.Errorf("greet the mail server: %w", err)
	}
	if r.security == "starttls" {
		if err := c.StartTLS(secure); err != nil {
			return fmt.Errorf("begin TLS with the mail server: %w", err)
		}
	}
	if r.user != "" {
		if err := c.Auth(smtp.PlainAuth("", r.user, r.password.Reveal(), server)); err != nil {
			return fmt.Errorf("log in to the mail server: %w", err)
		}
	}
	if err := c.Mail(r.from); err != nil {
		return err
	}
	for _, to := range r.to {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(r.message(n)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	c.Quit() // the mail is taken whatever comes of the farewell: an error here would have it sent again
	return nil
}

// message is the mail as it is sent.
func (r *Email) message(n Notification) []byte {
	a := &n.Alert
	var b bytes.Buffer
	subject := strings.Join(strings.Fields(headline(&n)), " ")
	for _, h := range [][2]string{
		{"From", r.from}, {"To", strings.Join(r.to, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", n.Now.Format(time.RFC1123Z)}, {"Message-ID", "<" + n.Key + "@earshot>"}, {"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	q.Write([]byte(strings.ReplaceAll(text(a), "\n", "\r\n"))) // a buffer takes everything
	q.Close()
	return b.Bytes()
}
