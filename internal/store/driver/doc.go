// Package driver is what the drivers of the store share and no database decides: when a write is allowed, what becomes
// of objects whose rows are refused, the next tenant row, the ledger's entry, and the shapes in which rows travel. A
// driver brings the SQL, as a Tx. No SQL stands here, and nothing outside the drivers imports it.
package driver
