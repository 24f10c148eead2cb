// Package v1alpha1 holds the kinds of the API group crmaccess.io: what people write in Git and what the controllers
// answer in status. Shapes, grammar rules (CEL) and constants live here; no behaviour, no clients.
//
// All lists of a spec are atomic: who applies an object owns its lists whole, so that no entry of an earlier applier
// keeps giving access after it has left the text in Git.
//
// +kubebuilder:object:generate=true
// +groupName=crmaccess.io
package v1alpha1
