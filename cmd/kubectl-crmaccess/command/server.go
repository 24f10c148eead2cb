package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

const (
	defaultServer  = "http://127.0.0.1:8082"
	serverVariable = "CRMACCESS_SERVER"
	// tokenVariable holds a bearer token. No flag does: everybody on a machine can list the arguments of its processes.
	tokenVariable = "CRMACCESS_TOKEN"
	serverTimeout = 15 * time.Second
	maxReply      = 4 << 20
)

// serverFlags say which decision API is asked, and what is shown to it.
type serverFlags struct {
	address, tokenFile          string
	authority, certificate, key string
}

func (f *serverFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.address, "server", "", "the decision API (default $"+serverVariable+" or "+defaultServer+")")
	flags.StringVar(&f.tokenFile, "token-file", "", "file of the bearer token that the server is shown (default $"+tokenVariable+", the token itself)")
	flags.StringVar(&f.authority, "certificate-authority", "", "file of the authorities of the server's certificate, in PEM (default the system's)")
	flags.StringVar(&f.certificate, "client-certificate", "", "file of the certificate that the server is shown, in PEM")
	flags.StringVar(&f.key, "client-key", "", "file of the certificate's key, in PEM")
}

// server is a decision API somewhere.
type server struct {
	address string
	base    *url.URL
	token   string
	client  *http.Client
}

// connect reads what the flags name. Nothing is asked yet.
func (f *serverFlags) connect(env *Environment) (*server, error) {
	s := &server{address: f.address}
	if s.address == "" {
		s.address = env.Getenv(serverVariable)
	}
	if s.address == "" {
		s.address = defaultServer
	}
	var err error
	if s.base, err = url.Parse(s.address); err != nil || s.base.Host == "" || (s.base.Scheme != "http" && s.base.Scheme != "https") {
		return nil, fmt.Errorf("server %q: want an address such as %s", s.address, defaultServer)
	}
	if s.token, err = f.token(env); err != nil {
		return nil, err
	}
	if s.token != "" && s.base.Scheme == "http" && !isLoopback(s.base.Hostname()) {
		return nil, fmt.Errorf("server %s: a token travels over TLS only, or on this machine; use https://", s.address)
	}
	tlsConfig, err := f.tls()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = tlsConfig
	s.client = &http.Client{
		Timeout: serverTimeout, Transport: transport,
		// Another server's answer would be taken for this one's.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// token is the bearer token to show, or "". It is quoted in no message.
func (f *serverFlags) token(env *Environment) (string, error) {
	text, from := env.Getenv(tokenVariable), "$"+tokenVariable
	if f.tokenFile != "" {
		content, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		if text, from = strings.TrimSpace(string(content)), f.tokenFile; text == "" {
			return "", fmt.Errorf("%s is empty: put the bearer token of an application there", from)
		}
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("%s holds more than a token: want one line without spaces", from)
	}
	return text, nil
}

func (f *serverFlags) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.authority != "" {
		content, err := os.ReadFile(f.authority)
		if err != nil {
			return nil, fmt.Errorf("read --certificate-authority: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("--certificate-authority %s holds no certificate in PEM", f.authority)
		}
	}
	if (f.certificate == "") != (f.key == "") {
		return nil, errors.New("--client-certificate and --client-key: give both or none")
	}
	if f.certificate != "" {
		pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
		if err != nil {
			return nil, fmt.Errorf("read --client-certificate and --client-key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// post asks at a path below the namespace's, or below the server's only tenant, and reads the answer into reply.
func (s *server) post(ctx context.Context, namespace, path string, body, reply any) (http.Header, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	endpoint := s.base.JoinPath(path)
	if namespace != "" {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			return nil, fmt.Errorf("namespace %q: %s", namespace, problems[0])
		}
		endpoint = s.base.JoinPath(namespace, path)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.address, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, s.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read from
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("read the reply of %s: %w", s.address, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, s.refused(response, answer)
	}
	if err := json.Unmarshal(answer, reply); err != nil {
		return nil, fmt.Errorf("%s gives no decision with its reasons: this is not a decision API; check --server", s.address)
	}
	return response.Header, nil
}

// unreachable says what to do when there is no answer.
func (s *server) unreachable(err error) error {
	var problem *url.Error
	if errors.As(err, &problem) {
		err = problem.Err // without the address, which is said anyway
	}
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s is of an authority that is not known here: name its file with --certificate-authority", s.address)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s does not speak TLS: use http://, or name another address with --server", s.address)
	}
	return fmt.Errorf(`the decision API at %s cannot be reached: %w
ask from manifests with -f DIR, or make the manager reachable:
  kubectl -n crm-access-operator-system port-forward deployment/crm-access-operator 8082
and name another address with --server or %s`, s.address, err, serverVariable)
}

// refused says what to do when the answer is no decision.
func (s *server) refused(response *http.Response, answer []byte) error {
	var problem struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &problem) != nil || problem.Error == "" {
		problem.Error = "this is not a decision API; check --server"
		if strings.Contains(string(answer), "HTTP request to an HTTPS server") {
			problem.Error = "it speaks TLS; use https://"
		}
	}
	advice := ""
	if response.StatusCode == http.StatusUnauthorized {
		advice = "\nput the token into a file for --token-file or into $" + tokenVariable + ", or give --client-certificate and --client-key"
	}
	return fmt.Errorf("%s answers %s: %s%s", s.address, response.Status, terminal.Printable(problem.Error), advice)
}
