// Package admission tests the admission policies of config/admission on a real API server, with real users: client
// certificates for people, tokens for service accounts.
package admission
