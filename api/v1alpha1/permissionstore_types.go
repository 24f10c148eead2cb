package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PermissionStore says where this namespace's access is written. There is one a namespace, named default.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=permissionstores,scope=Namespaced,categories=crmaccess,shortName=cstore
// +kubebuilder:printcolumn:name="Driver",type=string,JSONPath=`.spec.driver`
// +kubebuilder:printcolumn:name="Drift",type=string,JSONPath=`.spec.drift.mode`
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.held.people`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'default'",message="a namespace has one PermissionStore: set metadata.name to default"
type PermissionStore struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says which store and how careful to be with it.
	// +required
	Spec PermissionStoreSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status PermissionStoreStatus `json:"status,omitzero"`
}

// PermissionStoreSpec says where access is written.
//
// +kubebuilder:validation:XValidation:rule="self.driver != 'postgres' || (has(self.connection.secretRef) && !has(self.connection.file))",message="driver postgres connects by connection.secretRef, and by nothing else: name the Secret and its key that hold the connection string"
// +kubebuilder:validation:XValidation:rule="self.driver != 'sqlite' || (has(self.connection.file) && !has(self.connection.secretRef))",message="driver sqlite opens connection.file, and nothing else: name the file"
type PermissionStoreSpec struct {
	// driver is postgres (production) or sqlite (one file beside the operator, for trying out).
	// +kubebuilder:validation:Enum=postgres;sqlite
	// +required
	Driver string `json:"driver"`

	// connection is how the store is reached.
	// +required
	Connection Connection `json:"connection"`

	// drift says what happens to rows in the store that no object declares.
	// +kubebuilder:default={}
	// +optional
	Drift Drift `json:"drift,omitzero"`

	// brake holds a loss of access that comes from objects being gone rather than from a change of their text.
	// +kubebuilder:default={}
	// +optional
	Brake Brake `json:"brake,omitzero"`

	// enforcement makes the CRM's own tables, in the store's database, enforce access: those that an ObjectType names in
	// storage. Unset: nothing is set up there, and what was is taken down. For postgres.
	// +optional
	Enforcement *Enforcement `json:"enforcement,omitempty"`

	// state is Active, or Retired: everybody's access in this namespace is ended on purpose, and nothing is written any
	// more. Retire before you delete a tenant: deleting objects alone is braked. Defaults to Active.
	// +kubebuilder:validation:Enum=Active;Retired
	// +kubebuilder:default=Active
	// +optional
	State string `json:"state,omitempty"`

	// adopt takes over a store that another cluster or namespace owns: the owner, as the message of condition Ready
	// names it. Leave it away otherwise.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[!-~]*$`
	// +optional
	Adopt string `json:"adopt,omitempty"`
}

// Enforcement says for whom the CRM's tables enforce.
type Enforcement struct {
	// applicationRoles are the database roles that the CRM reads and writes its tables with, at least 1 and at most 10.
	// Their rights to these tables are the operator's to give and to take.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +listType=set
	// +required
	ApplicationRoles []DatabaseRole `json:"applicationRoles"`

	// viewOwner is the database role that masked views run as: nobody logs in as it. Defaults to crm_masked.
	// +kubebuilder:default=crm_masked
	// +optional
	ViewOwner DatabaseRole `json:"viewOwner,omitempty"`
}

// DatabaseRole is the name of a database role: a lower-case letter or underscore, then these and digits, 63 characters at
// most.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z_][a-z0-9_]{0,62}$`
// +kubebuilder:validation:XValidation:rule="self != 'public' && !self.startsWith('pg_')",message="public and pg_… are PostgreSQL's own: name a role of the CRM"
type DatabaseRole string

// Connection is how a store is reached; what it needs depends on the driver.
type Connection struct {
	// secretRef names the key of a Secret in the same namespace that holds the connection string (DSN). For postgres.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// file is the name of the database file in the operator's data folder, without any folder. For sqlite.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z0-9_][A-Za-z0-9._-]*$') && !self.contains('..')`,message="must be a plain file name such as crm.db: letters, digits, dots, hyphens and underscores, no folder and no '..'"
	// +optional
	File string `json:"file,omitempty"`
}

// SecretKeyReference names one key of a Secret in the same namespace.
type SecretKeyReference struct {
	// name is the name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// key is the key in the Secret's data.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +required
	Key string `json:"key"`
}

// Drift says what happens to rows that no object declares.
type Drift struct {
	// mode is Enforce (report and remove them) or Observe (report them only). Defaults to Enforce.
	// +kubebuilder:validation:Enum=Observe;Enforce
	// +kubebuilder:default=Enforce
	// +optional
	Mode string `json:"mode,omitempty"`
}

// Brake bounds how many people may lose access because objects are gone.
type Brake struct {
	// people is how many people may lose access within ten minutes because objects are gone. Beyond it the loss is
	// held and listed in status.held. Defaults to 50; 0 holds every such loss.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:default=50
	// +optional
	People *int32 `json:"people,omitempty"`

	// release is the digest in status.held, written here by a person to let exactly that loss happen.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[!-~]*$`
	// +optional
	Release string `json:"release,omitempty"`
}

// PermissionStoreStatus is what the operator reports of the store.
type PermissionStoreStatus struct {
	Status `json:",inline"`

	// held is the loss of access that the brake holds. Absent where it holds nothing.
	// +optional
	Held *Held `json:"held,omitempty"`
}

// Held is a loss of access that waits for a person.
type Held struct {
	// digest names exactly this loss; spec.brake.release set to it lets the loss happen.
	// +kubebuilder:validation:MaxLength=128
	// +required
	Digest string `json:"digest"`

	// people is how many people would lose access.
	// +kubebuilder:validation:Minimum=0
	// +required
	People int32 `json:"people"`

	// objects are the objects that are gone, as Kind/name, the first 20 in order.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Objects []string `json:"objects,omitempty"`

	// total is how many objects are gone.
	// +kubebuilder:validation:Minimum=0
	// +required
	Total int32 `json:"total"`
}

// PermissionStoreName is the only name that a PermissionStore may have.
const PermissionStoreName = "default"

// PermissionStoreList is a list of permission stores.
//
// +kubebuilder:object:root=true
type PermissionStoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PermissionStore `json:"items"`
}
