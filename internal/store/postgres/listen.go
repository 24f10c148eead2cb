package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

const listen = `LISTEN crm_access`

// Listen hears what is announced, on a connection of its own, until the context ends or the connection is lost, which is
// always an error. heard is called with the tenant of each announcement, and with "" when the connection has just begun to
// listen: whatever was announced before is lost. An announcement is a hint: a pooler that hands the connection on after each
// transaction swallows all of them and says nothing.
func (s *db) Listen(ctx context.Context, heard func(tenant string)) error {
	conn, err := s.connectToListen(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	heard("")
	for {
		tenant, err := s.nextAnnouncement(ctx, conn)
		if err != nil {
			return mapError(ctx, err)
		}
		if tenant != "" {
			heard(tenant)
		}
	}
}

func (s *db) connectToListen(ctx context.Context) (*pgx.Conn, error) {
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(within, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, mapError(ctx, err)
	}
	if _, err := conn.Exec(within, listen); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, mapError(ctx, err)
	}
	return conn, nil
}

// nextAnnouncement is the tenant that the next announcement names; empty after a long silence, if the connection lives, and
// for an announcement that is none of ours: anybody who may connect can send one.
func (s *db) nextAnnouncement(ctx context.Context, conn *pgx.Conn) (string, error) {
	within, cancel := context.WithTimeout(ctx, s.silence)
	defer cancel()
	notification, err := conn.WaitForNotification(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return "", s.alive(ctx, conn)
	}
	if err != nil {
		return "", err
	}
	var announced struct{ Tenant string }
	if err := json.Unmarshal([]byte(notification.Payload), &announced); err != nil {
		return "", nil //nolint:nilerr // what cannot be read announces nothing
	}
	return announced.Tenant, nil
}

func (s *db) alive(ctx context.Context, conn *pgx.Conn) error {
	within, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	err := conn.Ping(within)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w: the connection that listens does not answer", store.ErrUnavailable)
	}
	return err
}
