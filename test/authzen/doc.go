// Package authzen asks a running kubectl crmaccess serve what the public test sets of the OpenID AuthZEN Authorization API 1.0
// ask: each scenario is a folder with the manifests that declare it in our kinds, the records, and the requests.
package authzen
