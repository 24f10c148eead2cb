// Package postgres keeps permissions in PostgreSQL, in the schema crm_access: for production, where several processes
// follow the store and the CRM asks in SQL. Only SQL and its errors are here: what a write decides stands in the package
// driver. See docs/store.md.
package postgres
