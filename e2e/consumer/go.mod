// A module of somebody else that uses the public packages. The suite copies it to a temporary folder, with the sums of the
// main module, and runs it there. What it requires indirectly is completed in the copy.
module example.com/consumer

go 1.26.0

require (
	github.com/etcd-drill/etcd-drill v0.0.0
	github.com/onsi/ginkgo/v2 v2.34.0
	github.com/onsi/gomega v1.44.0
)

replace github.com/etcd-drill/etcd-drill => ../..
