package decisionapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"
)

// Serving says where and how the API is served: what every program that does has flags for.
type Serving struct {
	// Address is where to listen, as host:port.
	Address string
	// TLSCert and TLSKey are files; both or none.
	TLSCert, TLSKey string
	// ClientCA is a file of the authorities whose client certificates are believed.
	ClientCA string
	// Credentials is a file; see ReadCredentials.
	Credentials string
	// URL is where callers reach the API, for the metadata; where it is empty, the address.
	URL string
	// PerClient is how many connections one client address may have open; 0 is as many as there are.
	PerClient int
}

// defaultPerClient leaves room for others where one client takes all that it gets.
const defaultPerClient = maxConnections / 4

// flagSet is what Serving asks of a set of flags.
type flagSet interface {
	StringVar(p *string, name, value, usage string)
	IntVar(p *int, name string, value int, usage string)
}

// AddFlags adds a flag for each of them.
func (s *Serving) AddFlags(flags flagSet) {
	flags.StringVar(&s.Address, "decision-bind-address", "127.0.0.1:8082", "address of the decision API; 0 turns it off")
	flags.StringVar(&s.TLSCert, "decision-tls-cert", "", "file of the decision API's certificate chain, in PEM; read again when it changes")
	flags.StringVar(&s.TLSKey, "decision-tls-key", "", "file of the certificate's key, in PEM")
	flags.StringVar(&s.ClientCA, "decision-client-ca", "", "file of the authorities whose client certificates the decision API believes, in PEM")
	flags.StringVar(&s.Credentials, "decision-credentials", "", "file of the applications that may ask the decision API; without, it listens on a loopback address only")
	flags.StringVar(&s.URL, "decision-url", "", "where callers reach the decision API, for its metadata; default: the address")
	flags.IntVar(&s.PerClient, "decision-connections-per-client", defaultPerClient, "how many connections to the decision API one client address may have open; a proxy is one address; 0 is no limit but that of all")
}

// Off says whether the API is not to be served at all.
func (s *Serving) Off() bool { return s.Address == "0" }

// Check says what is wrong with the flags, before anything is opened.
func (s *Serving) Check() error {
	if s.Off() {
		return nil
	}
	host, _, err := net.SplitHostPort(s.Address)
	ip := net.ParseIP(host)
	base, broken := url.Parse(s.URL)
	switch {
	case err != nil:
		return fmt.Errorf("--decision-bind-address %q: want host:port such as 127.0.0.1:8082", s.Address)
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return errors.New("--decision-tls-cert and --decision-tls-key: give both or none")
	case s.ClientCA != "" && s.TLSCert == "":
		return errors.New("--decision-client-ca: certificates are shown over TLS only; give --decision-tls-cert and --decision-tls-key as well")
	case s.ClientCA != "" && s.Credentials == "":
		return errors.New("--decision-client-ca: say in --decision-credentials which application a certificate is of")
	case s.PerClient < 0:
		return fmt.Errorf("--decision-connections-per-client %d: want zero or more", s.PerClient)
	case s.URL != "" && (broken != nil || base.Host == "" || base.RawQuery != "" || base.Fragment != ""):
		return fmt.Errorf("--decision-url %q: want a URL without query and fragment such as https://decide.example", s.URL)
	case ip != nil && ip.IsLoopback():
		return nil
	case s.Credentials == "":
		return fmt.Errorf("--decision-bind-address %q: without --decision-credentials the decision API listens on a loopback address only, such as 127.0.0.1:8082", s.Address)
	case s.TLSCert == "":
		return fmt.Errorf("--decision-bind-address %q: beyond a loopback address bearer tokens travel over TLS only; give --decision-tls-cert and --decision-tls-key", s.Address)
	}
	return nil
}

// reloadEvery is how often the files are looked at: so long does a token that was taken out of them still work.
const reloadEvery = 5 * time.Second

// Open listens, and serves the source on it once the server is started.
func (s *Serving) Open(ctx context.Context, source Source, options Options, log *slog.Logger) (*Server, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	var files []*watched
	var keys *keyPair
	if s.Credentials != "" {
		credentials, err := ReadCredentials(s.Credentials)
		if err != nil {
			return nil, err
		}
		options.Credentials = credentials
		files = append(files, &watched{what: "credentials", reload: credentials.Reload})
	}
	if s.TLSCert != "" {
		var err error
		if keys, err = readKeyPair(s.TLSCert, s.TLSKey, s.ClientCA); err != nil {
			return nil, err
		}
		files = append(files, &watched{what: "certificates", reload: keys.reload})
		if options.Credentials != nil {
			options.Credentials.keys = keys
		}
	}
	listener, err := s.listen(ctx)
	if err != nil {
		return nil, err
	}
	listener = newFair(listener, s.PerClient)
	scheme := "http://"
	if keys != nil {
		listener, scheme = keys.listener(listener), "https://"
	}
	options.BaseURL = cmp.Or(s.URL, scheme+listener.Addr().String())
	server := NewServer(listener, New(source, options))
	server.log, server.files = log, files
	server.http.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	return server, nil
}

func (s *Serving) listen(ctx context.Context) (net.Listener, error) {
	if s.Credentials == "" {
		return ListenLoopback(ctx, s.Address)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.Address)
	if err != nil {
		return nil, fmt.Errorf("decision API: listen on %q: %w", s.Address, err)
	}
	return limit(listener, maxConnections), nil
}

// watched is something that is read from files, and again when they change.
type watched struct {
	what   string
	reload func() (changed bool, err error)
	failed string
}

// look reads the files again if they have changed, and tells what came of it; of the same failure only once.
func (w *watched) look(log *slog.Logger) {
	changed, err := w.reload()
	switch {
	case err != nil && err.Error() != w.failed:
		w.failed = err.Error()
		log.Error("Keep the decision API's "+w.what+" as they were read before", "error", err)
	case err == nil:
		w.failed = ""
	}
	if changed {
		log.Info("Read the decision API's " + w.what + " again")
	}
}
