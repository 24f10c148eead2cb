package main

import (
	"context"
	"database/sql"
	"fmt"

	_ "modernc.org/sqlite" // reads the store as any SQLite client would
)

// liveRows asks the store's documented view what is live, with SQL and without a line of the operator's code: whoever
// reads the store so finds no row past its end.
func liveRows(ctx context.Context, file, grant string) (int, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return 0, fmt.Errorf("open the store: %w", err)
	}
	defer db.Close()
	var rows int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM live_grants WHERE owner_kind = 'TemporaryGrant' AND owner_name = ?", grant).Scan(&rows)
	if err != nil {
		return 0, fmt.Errorf("read what is live: %w", err)
	}
	return rows, nil
}
