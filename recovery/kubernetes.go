package recovery

// Kubernetes tells what an API server keeps in a source. It holds no name of an object.
type Kubernetes struct {
	Objects   int64      `json:"objects"`
	Resources []Resource `json:"resources"` // by name
}

// Resource counts the objects of one kind.
type Resource struct {
	// Name is that of the resource, with its group where the key holds one: "pods", "apiservices.apiregistration.k8s.io".
	Name    string `json:"name"`
	Objects int64  `json:"objects"`
	// Encrypted counts the objects that the API server encrypts at rest, Providers how: "aescbc", "aesgcm", "secretbox", "kms",
	// or "unknown". Without its key they come back and cannot be read.
	Encrypted int64    `json:"encrypted,omitempty"`
	Providers []string `json:"providers,omitempty"`
}

// Encrypted counts the objects of all resources that are encrypted at rest.
func (k *Kubernetes) Encrypted() (n int64) {
	if k != nil {
		for _, r := range k.Resources {
			n += r.Encrypted
		}
	}
	return n
}
