package bus

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/crypto/bcrypt"
)

// users are the logins of the embedded server: itself with all rights, and each outside host with its own.
func users(own Credential, hosts []Login) ([]*server.User, error) {
	us := []*server.User{{Username: own.User, Password: string(own.Password)}}
	for _, h := range hosts {
		us = append(us, &server.User{
			Username:    h.userName(),
			Password:    string(h.Key),
			Permissions: hostRights(h.Host),
		})
	}
	for _, u := range us {
		// The hash lives in memory only, so the cheapest is enough; the engine warns about plain passwords.
		hash, err := bcrypt.GenerateFromPassword([]byte(u.Password), bcrypt.MinCost)
		if err != nil {
			return nil, fmt.Errorf("make login %s: %w", u.Username, err)
		}
		u.Password = string(hash)
	}
	return us, nil
}

// userName keeps a host that is called "server" from taking the server's own login.
func (l Login) userName() string { return "host-" + l.Host }

// hostRights is all that a host may do: pull and acknowledge from the pool and from its own queue, claim,
// report, log and live under its own name, and hear answers and hints. It cannot make or read a stream,
// act for another host, or see a log.
func hostRights(name string) *server.Permissions {
	pub := []string{
		"claim." + name,
		"hb." + name,
		reportSubject(name),
		"log." + name + ".>",
	}
	for _, kind := range kinds() {
		for _, consumer := range []string{poolConsumer(kind), hostConsumer(name, kind)} {
			pub = append(pub,
				"$JS.API.CONSUMER.INFO."+runsStream+"."+consumer,
				"$JS.API.CONSUMER.MSG.NEXT."+runsStream+"."+consumer,
				"$JS.ACK."+runsStream+"."+consumer+".>",
			)
		}
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: pub},
		Subscribe: &server.SubjectPermission{Allow: []string{inbox(name) + ".>", ctlSubject(name)}},
	}
}
