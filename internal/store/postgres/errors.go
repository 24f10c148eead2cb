package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

// The errors of the driver and of the server hold users, hosts, connection strings and rows. None of their text is passed
// on: an error of ours is its kind, a sentence from here, and the SQLSTATE.

// mapError makes an error one of the store's kinds. An error after the caller's context ended is the context's.
func mapError(ctx context.Context, err error) error {
	var server *pgconn.PgError
	var connecting *pgconn.ConnectError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, pgx.ErrNoRows):
		return store.ErrNoTenant
	case errors.As(err, &connecting) && errors.As(err, &server):
		return fmt.Errorf("%w: %s", store.ErrUnavailable, sentence(server))
	case errors.As(err, &server):
		return mapState(server)
	}
	return fmt.Errorf("%w: %s", store.ErrUnavailable, unreachable(err))
}

// mapState decides by SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
func mapState(e *pgconn.PgError) error {
	kind := store.ErrUnavailable
	switch class := class(e); {
	case e.Code == uniqueViolation && strings.HasSuffix(e.ConstraintName, "_pkey"):
		// A row that we have not read holds the place: it was written past the triggers.
		kind = store.ErrStale
	case refusals[class], e.Code == raisedException:
		kind = store.ErrRefused
	case class == schemaClass && e.Code != insufficientRole, e.Code == undefinedSchema:
		kind = store.ErrSchema
	}
	return fmt.Errorf("%w: %s", kind, sentence(e))
}

// class is the first two characters of a SQLSTATE. What calls itself a server may send anything.
func class(e *pgconn.PgError) string {
	if len(e.Code) != len("00000") {
		return ""
	}
	return e.Code[:2]
}

const (
	uniqueViolation  = "23505"
	raisedException  = "P0001" // by a trigger that somebody put on a table
	insufficientRole = "42501"
	undefinedSchema  = "3F000"
	schemaClass      = "42" // syntax error or access rule violation
)

// refusals are the classes of SQLSTATE that are about the values of a row.
var refusals = map[string]bool{
	"22": true, // data exception
	"23": true, // integrity constraint violation
	"44": true, // WITH CHECK OPTION violation
	"54": true, // program limit exceeded
}

var sentences = map[string]string{
	"08":    "the connection was lost",
	"22":    "a value does not fit",
	"22001": "a value is too long",
	"22008": "an instant is out of range",
	"22021": "text is not valid UTF-8",
	"22P05": "text must not contain the character U+0000",
	"23":    "a row breaks a constraint",
	"25006": "the server is read-only",
	"28":    "authentication failed",
	"28P01": "password authentication failed",
	"3D000": "the database does not exist",
	"3F000": "the schema does not exist",
	"40":    "the transaction was rolled back",
	"42":    "the schema is not this program's",
	"42501": "the role lacks a privilege",
	"53":    "the server lacks resources",
	"53300": "the server has too many connections",
	"54":    "a value is too large",
	"55":    "a row is locked",
	"55P03": "waited too long for a lock",
	"57":    "the server ended the statement",
	"57014": "the statement took too long",
	"57P01": "the server is shutting down",
	"57P02": "the server crashed",
	"57P03": "the server is starting up or shutting down",
	"58":    "the server has a system error",
	"P0":    "a trigger refused the row",
}

// sentence says what a state means; a constraint's name is the schema's, not a row's.
func sentence(e *pgconn.PgError) string {
	class := class(e)
	if class == "" {
		return "the server's answer is not PostgreSQL's"
	}
	text, ok := sentences[e.Code]
	if !ok {
		text, ok = sentences[class]
	}
	if !ok {
		text = "the server refused the statement"
	}
	if e.ConstraintName != "" {
		text += " " + e.ConstraintName
	}
	return fmt.Sprintf("%s (%s)", text, e.Code)
}

// unreachable says why a server that gave no SQLSTATE could not be asked.
func unreachable(err error) string {
	var resolving *net.DNSError
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &resolving):
		return "the host's name cannot be resolved"
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &record):
		return "the server's TLS certificate or protocol is not accepted"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist):
		return "nothing listens there"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	return "the connection failed"
}

// unmigrated is an error of a migration. A refusal is one of the schema here.
func unmigrated(ctx context.Context, version int, err error) error {
	var server *pgconn.PgError
	switch {
	case !errors.As(err, &server) || class(server) == "":
		return mapError(ctx, err)
	case server.Code == insufficientRole:
		return fmt.Errorf("%w: the role may not make the schema crm_access or what is in it (%s)", store.ErrSchema, server.Code)
	}
	mapped := mapState(server)
	if errors.Is(mapped, store.ErrUnavailable) {
		return mapped
	}
	return fmt.Errorf("%w: migration %d failed (%s)", store.ErrSchema, version, server.Code)
}
