package command_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/crmaccess/crm-access-operator/internal/decisionapi"
)

// selfSigned writes a certificate and its key into the folder, as NAME.crt and NAME.key.
func selfSigned(t *testing.T, folder, name string, usage x509.ExtKeyUsage) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, folder, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
	put(t, folder, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func put(t *testing.T, folder, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// guardedServer serves the sample organisation over TLS to those who show credentials. It gives its address, and the folder of
// the files.
func guardedServer(t *testing.T) (address, folder string) {
	t.Helper()
	folder = t.TempDir()
	selfSigned(t, folder, "server", x509.ExtKeyUsageServerAuth)
	selfSigned(t, folder, "desk", x509.ExtKeyUsageClientAuth)
	sum := sha256.Sum256([]byte("t0ken"))
	put(t, folder, "credentials.yaml", "crm: {tokens: ["+hex.EncodeToString(sum[:])+"], certificates: [desk], tenants: [huayue]}\n")
	put(t, folder, "token", "t0ken\n")
	put(t, folder, "wrong", "guess")
	put(t, folder, "empty", "\n")
	put(t, folder, "two-lines", "t0ken\r\nX-Other: 1")
	in := func(name string) string { return filepath.Join(folder, name) }
	serving := decisionapi.Serving{Address: "127.0.0.1:0", TLSCert: in("server.crt"), TLSKey: in("server.key"), ClientCA: in("desk.crt"), Credentials: in("credentials.yaml")}
	server, err := serving.Open(t.Context(), serveSample(t), decisionapi.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "https://" + server.Addr().String(), folder
}

func TestAServerThatAsksForCredentials(t *testing.T) {
	address, folder := guardedServer(t)
	in := func(name string) string { return filepath.Join(folder, name) }
	known := []string{"--certificate-authority", in("server.crt")}
	for name, c := range map[string]struct {
		token string
		flags []string
		code  int
		says  []string
	}{
		"a token of a file":             {"", append(known, "--token-file", in("token")), 0, []string{"ALLOW"}},
		"a token of the environment":    {"t0ken", known, 0, []string{"ALLOW"}},
		"the file wins":                 {"t0ken", append(known, "--token-file", in("wrong")), 2, []string{"401"}},
		"a certificate":                 {"", append(known, "--client-certificate", in("desk.crt"), "--client-key", in("desk.key")), 0, []string{"ALLOW"}},
		"nothing":                       {"", known, 2, []string{"401", "--token-file", "$CRMACCESS_TOKEN", "--client-certificate"}},
		"a wrong token":                 {"", append(known, "--token-file", in("wrong")), 2, []string{"401", "--token-file"}},
		"another tenant":                {"t0ken", append(known, "-n", "other"), 2, []string{"403", "crm may not ask for tenant other"}},
		"an unknown authority":          {"t0ken", nil, 2, []string{"of an authority that is not known here", "--certificate-authority"}},
		"a certificate without its key": {"", append(known, "--client-certificate", in("desk.crt")), 2, []string{"--client-certificate and --client-key: give both or none"}},
		"an authority that is none":     {"", []string{"--certificate-authority", in("token")}, 2, []string{"holds no certificate in PEM"}},
		"no file of a token":            {"", append(known, "--token-file", in("missing")), 2, []string{"read the token"}},
		"an empty file of a token":      {"", append(known, "--token-file", in("empty")), 2, []string{"is empty: put the bearer token"}},
		"a file of more than a token":   {"", append(known, "--token-file", in("two-lines")), 2, []string{"want one line without spaces"}},
		"no TLS":                        {"", []string{"--server", strings.Replace(address, "https", "http", 1)}, 2, []string{"it speaks TLS; use https://"}},
		"a token to a machine elsewhere": {"t0ken", []string{"--server", "http://decide.example"}, 2,
			[]string{"server http://decide.example: a token travels over TLS only"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := sitting{server: address, token: c.token}.run(append([]string{"can", "li-ting", "read", "customer"}, c.flags...)...)
			r.expect(t, c.code, c.says...)
			if strings.Contains(r.out+r.err, "t0ken") || strings.Contains(r.out+r.err, "guess") {
				t.Errorf("tells the token: %s%s", r.out, r.err)
			}
		})
	}
	plain := httptest.NewServer(decisionapi.New(serveSample(t), decisionapi.Options{}))
	defer plain.Close()
	run("can", "li-ting", "read", "customer", "--server", strings.Replace(plain.URL, "http", "https", 1)).expect(t, 2, "does not speak TLS: use http://")
}

func TestAServerNamesThoseWhoMayAtOnceAsTheManifestsDo(t *testing.T) {
	server := httptest.NewServer(decisionapi.New(serveSample(t), decisionapi.Options{HonourTime: true}))
	defer server.Close()
	for _, question := range [][]string{
		{"read", "contract/ct-0091", "--field", "amount"}, {"read", "customer"}, {"export", "customer", "--rows", "5000"},
		{"read", "customer/cust-ruifeng", "--at", "2026-12-29T10:00:00+08:00", "-o", "json"},
	} {
		want := run(append([]string{"who-can", "-f", huayue}, question...)...)
		got := sitting{server: server.URL}.run(append([]string{"who-can", "--records", filepath.Join(huayue, "records.yaml")}, question...)...)
		if strings.Contains(want.out, "APPROVAL") {
			t.Fatalf("%v: the manifests name somebody who needs an approval: ask another question", question)
		}
		if got.out != want.out || got.code != want.code || !strings.Contains(got.err, "note: a server lists who may at once") {
			t.Errorf("%v: the server says\n%+v\nthe manifests\n%+v", question, got, want)
		}
	}
	address, folder := guardedServer(t)
	sitting{server: address, token: "t0ken"}.run("who-can", "read", "customer", "--certificate-authority", filepath.Join(folder, "server.crt")).expect(t, 0, "li-ting")
	sitting{server: address}.run("who-can", "read", "customer", "--certificate-authority", filepath.Join(folder, "server.crt")).expect(t, 2, "401", "--token-file")
	sitting{server: server.URL}.run("who-can", "read", "customer", "-n", "other").expect(t, 2, "404")
}
