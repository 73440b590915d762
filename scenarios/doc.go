// Package scenarios is the suite of disasters: it destroys real etcd clusters and demands that they come back as etcd's
// recovery page says. One file is one disaster, written as a runbook: start, load, strike, recover, prove.
//
// Everything else is in the tests; see docs/scenarios.md for what must be true, and docs/ci.md for how to choose.
package scenarios
