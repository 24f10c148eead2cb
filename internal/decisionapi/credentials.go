package decisionapi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"sigs.k8s.io/yaml"
)

const (
	// anyTenant, among an application's tenants, is all of them.
	anyTenant = "*"
	// challenge tells who has shown no credentials, or wrong ones, what to show: nothing about which they were.
	challenge = `Bearer realm="crm-access"`
	// maxCredentials is the largest file of credentials that is read, in bytes.
	maxCredentials = 1 << 20
)

// Credentials say which applications may ask, and for which tenants. They are safe for concurrent use, and nil ones let
// everybody ask for everything.
type Credentials struct {
	path    string
	current atomic.Pointer[credentialSet]
	// keys, where there are any, say which authorities are believed now.
	keys *keyPair
}

// credentialSet is one state of the file.
type credentialSet struct {
	text   []byte
	tokens []tokenDigest
	// byCertificate finds an application by a name that its certificate bears.
	byCertificate map[string]*application
}

type tokenDigest struct {
	sum         [sha256.Size]byte
	application *application
}

// application is a program that asks: a CRM, a gateway.
type application struct {
	Name string `json:"-"`
	// Tokens are the SHA-256 digests of its bearer tokens, in hex; more than one while it changes from one to the next.
	Tokens []string `json:"tokens,omitempty"`
	// Certificates are the common names and URIs by which its client certificates name it.
	Certificates []string `json:"certificates,omitempty"`
	// Tenants are those that it may ask for; "*" is all of them.
	Tenants []string `json:"tenants"`
}

// ReadCredentials reads a file that maps each application's name to what it shows and for which tenants it may ask.
func ReadCredentials(path string) (*Credentials, error) {
	c := &Credentials{path: path}
	if _, err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the file again, and says whether it has changed. Where it cannot be read the credentials stay as they are:
// a slip of the pen must not lock out every application.
func (c *Credentials) Reload() (changed bool, err error) {
	text, err := readFile(c.path, maxCredentials)
	if err != nil {
		return false, fmt.Errorf("read the applications' credentials: %w", err)
	}
	if current := c.current.Load(); current != nil && bytes.Equal(current.text, text) {
		return false, nil
	}
	set, err := parseCredentials(text)
	if err != nil {
		return false, fmt.Errorf("read the applications' credentials in %s: %w", c.path, err)
	}
	c.current.Store(set)
	return true, nil
}

func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, most)
	}
	return os.ReadFile(path)
}

// parseCredentials never quotes what it reads beside names: a token may have been put where its digest belongs.
func parseCredentials(text []byte) (*credentialSet, error) {
	var byName map[string]*application
	if err := yaml.UnmarshalStrict(text, &byName); err != nil {
		return nil, fmt.Errorf("want a name for each application and, below it, tokens, certificates and tenants, each a list of texts")
	}
	if len(byName) == 0 {
		return nil, fmt.Errorf("no application is named: nobody could ask")
	}
	set := &credentialSet{text: text, byCertificate: make(map[string]*application)}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if err := set.add(name, byName[name]); err != nil {
			return nil, fmt.Errorf("application %s: %w", shown(name), err)
		}
	}
	return set, nil
}

func (s *credentialSet) add(name string, a *application) error {
	if a == nil || len(a.Tokens)+len(a.Certificates) == 0 {
		return fmt.Errorf("has neither tokens nor certificates")
	}
	if len(a.Tenants) == 0 || slices.Contains(a.Tenants, "") {
		return fmt.Errorf("name the tenants that it may ask for, or %q", anyTenant)
	}
	a.Name = name
	for i, digest := range a.Tokens {
		sum, err := hex.DecodeString(digest)
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("token %d is no SHA-256 digest in hex: put there what `printf %%s TOKEN | sha256sum` prints", i+1)
		}
		if slices.ContainsFunc(s.tokens, func(t tokenDigest) bool { return bytes.Equal(t.sum[:], sum) }) {
			return fmt.Errorf("token %d is another application's, too", i+1)
		}
		s.tokens = append(s.tokens, tokenDigest{[sha256.Size]byte(sum), a})
	}
	for _, certificate := range a.Certificates {
		if s.byCertificate[certificate] != nil || certificate == "" {
			return fmt.Errorf("certificate %s is another application's, too", shown(certificate))
		}
		s.byCertificate[certificate] = a
	}
	return nil
}

var errUnauthorized = refuse(http.StatusUnauthorized, "show the credentials of an application: a bearer token or a client certificate")

// identify finds the application that asks. A token that is shown decides alone; without one, the client certificate
// does. Missing, unknown and wrong credentials are answered alike.
func (c *Credentials) identify(r *http.Request) (*application, error) {
	if c == nil {
		return nil, nil
	}
	set := c.current.Load()
	var found *application
	if given := r.Header["Authorization"]; len(given) > 0 {
		found = set.byToken(given)
	} else if r.TLS != nil && c.keys.believe(r.TLS.VerifiedChains) {
		found = set.byName(r.TLS.VerifiedChains[0][0])
	}
	if found == nil {
		return nil, errUnauthorized
	}
	return found, nil
}

// byToken compares with every digest, each in the same time.
func (s *credentialSet) byToken(given []string) (found *application) {
	scheme, token, _ := strings.Cut(given[0], " ")
	sum := sha256.Sum256([]byte(token))
	for i := range s.tokens {
		if subtle.ConstantTimeCompare(s.tokens[i].sum[:], sum[:]) == 1 {
			found = s.tokens[i].application
		}
	}
	if len(given) != 1 || !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	return found
}

// byName finds the application that a certificate names. One that bears URIs is named by them alone: an authority that
// attests URIs may let whoever asks for a certificate choose the common name.
func (s *credentialSet) byName(certificate *x509.Certificate) *application {
	for _, uri := range certificate.URIs {
		if found := s.byCertificate[uri.String()]; found != nil {
			return found
		}
	}
	if len(certificate.URIs) > 0 {
		return nil
	}
	return s.byCertificate[cmp.Or(certificate.Subject.CommonName, "\x00")]
}

func (a *application) name() string {
	if a == nil {
		return ""
	}
	return a.Name
}

// mayAsk says whether the application may ask for the tenant. Whether there is such a tenant does not matter.
func (a *application) mayAsk(tenant string) bool {
	return a == nil || slices.Contains(a.Tenants, tenant) || slices.Contains(a.Tenants, anyTenant)
}

// onlyTenant is the one tenant that the application may ask for, or "".
func (a *application) onlyTenant() string {
	if a == nil || len(a.Tenants) != 1 || a.Tenants[0] == anyTenant {
		return ""
	}
	return a.Tenants[0]
}
