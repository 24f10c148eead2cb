package driver

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/store"
)

// Statements are the statements of one table by their name: "load", "insert", "update", "delete".
type Statements map[string]string

// MustParseStatements reads statements/<table>.sql of every table: each statement follows a line "-- name: <name>". The
// files are part of the program, so a fault in them is one of the program.
func MustParseStatements(files fs.FS) map[store.Table]Statements {
	all := make(map[store.Table]Statements)
	for _, table := range store.Tables {
		text, err := fs.ReadFile(files, path.Join("statements", string(table)+".sql"))
		if err != nil {
			panic(err)
		}
		statements := make(Statements)
		for _, part := range strings.Split("\n"+string(text), "\n-- name: ")[1:] {
			name, statement, _ := strings.Cut(part, "\n")
			statements[strings.TrimSpace(name)] = strings.TrimSuffix(strings.TrimSpace(statement), ";")
		}
		for _, name := range []string{"load", string(Insert), string(Update), string(Delete)} {
			if statements[name] == "" {
				panic(fmt.Sprintf("table %s: no statement %s", table, name))
			}
		}
		all[table] = statements
	}
	return all
}

// MustParseMigrations reads migrations/<number>_<what>.sql, which are numbered from 1 without a gap. The schema of
// version n is what the first n make.
func MustParseMigrations(files fs.FS) []string {
	entries, err := fs.ReadDir(files, "migrations")
	if err != nil {
		panic(err)
	}
	var migrations []string
	for i, entry := range entries {
		if number, _, _ := strings.Cut(entry.Name(), "_"); number != fmt.Sprintf("%04d", i+1) {
			panic(fmt.Sprintf("migration %s: want number %04d", entry.Name(), i+1))
		}
		text, err := fs.ReadFile(files, path.Join("migrations", entry.Name()))
		if err != nil {
			panic(err)
		}
		migrations = append(migrations, string(text))
	}
	return migrations
}
