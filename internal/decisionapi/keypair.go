package decisionapi

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// maxCertificates is the largest file of certificates or of a key that is read, in bytes.
const maxCertificates = 1 << 20

// keyPair is the certificate that the API shows, and the authorities whose client certificates it believes.
type keyPair struct {
	cert, key, clientCA string
	read                [3][]byte
	current             atomic.Pointer[tls.Config]
	authorities         atomic.Pointer[map[string]bool] // the certificates in clientCA, as they are written
	now                 func() time.Time
}

func readKeyPair(cert, key, clientCA string) (*keyPair, error) {
	k := &keyPair{cert: cert, key: key, clientCA: clientCA, now: time.Now}
	if _, err := k.reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// reload reads the files again, and says whether they have changed. Connections made before keep what they were made with,
// and a client's certificate is believed on them as long as it is on new ones.
func (k *keyPair) reload() (changed bool, err error) {
	var now [3][]byte
	for i, path := range []string{k.cert, k.key, k.clientCA} {
		if path == "" {
			continue
		}
		if now[i], err = readFile(path, maxCertificates); err != nil {
			return false, fmt.Errorf("read the decision API's certificates: %w", err)
		}
	}
	if k.current.Load() != nil && bytes.Equal(now[0], k.read[0]) && bytes.Equal(now[1], k.read[1]) && bytes.Equal(now[2], k.read[2]) {
		return false, nil
	}
	config, err := k.config(now[0], now[1], now[2])
	if err != nil {
		return false, err
	}
	k.read = now
	authorities := authoritiesOf(now[2])
	k.authorities.Store(&authorities)
	k.current.Store(config)
	return true, nil
}

func (k *keyPair) config(cert, key, clientCA []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", k.cert, k.key, err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if k.clientCA != "" {
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !config.ClientCAs.AppendCertsFromPEM(clientCA) {
			return nil, fmt.Errorf("client authorities %s: no certificate in PEM", k.clientCA)
		}
	}
	return config, nil
}

// authoritiesOf are the certificates of a file that x509.CertPool.AppendCertsFromPEM takes in.
func authoritiesOf(text []byte) map[string]bool {
	authorities := make(map[string]bool)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" && len(block.Headers) == 0 {
			authorities[string(block.Bytes)] = true
		}
	}
	return authorities
}

// believe says whether a certificate still counts that a connection was made with: by one of the chains that were verified
// then, which has not expired, of an authority that is believed now.
func (k *keyPair) believe(chains [][]*x509.Certificate) bool {
	if k == nil || len(chains) == 0 {
		return false
	}
	now, authorities := k.now(), *k.authorities.Load()
	return slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool {
		return authorities[string(chain[len(chain)-1].Raw)] && !slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
	})
}

// listener speaks TLS on connections of the other.
func (k *keyPair) listener(inner net.Listener) net.Listener {
	return tls.NewListener(inner, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.current.Load(), nil },
	})
}
