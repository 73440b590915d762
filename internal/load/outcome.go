package load

import (
	"errors"
	"slices"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// classify tells what is known about a write whose call returned this error. Only the errors of refusals mean that the
// write certainly has no effect; all others, those of other makers included, leave it open.
func classify(err error) ledger.Outcome {
	var fromEtcd rpctypes.EtcdError
	// rpctypes.Error also recognises an error that went past the client's own translation. It matches by text, as etcd's
	// client does, because the text is what etcd sends.
	if errors.As(rpctypes.Error(err), &fromEtcd) && slices.Contains(refusals(), fromEtcd) {
		return ledger.Refused
	}
	return ledger.Unknown
}

// refusals is the closed list of errors that etcd returns for a put, a delete, a transaction or a grant either before it
// proposes the request or from an apply that changes nothing: each is raised before the step that proposes or writes. Paths
// are below etcd's server directory, version 3.7.
//
// What is missing is missing on purpose:
//   - ErrNoSpace: api/v3rpc/quota.go (quotaAlarmer.check) raises it before the proposal, but etcdserver/apply/quota.go
//     (quotaApplierV3.Put, Txn, LeaseGrant) raises the same error after the write was applied.
//   - ErrCorrupt: etcdserver/apply/corrupt.go applies nothing, but the members of a corrupt cluster disagree, so what one
//     of them says does not bind the others.
//   - ErrNoLeader: api/v3rpc/interceptor.go raises it early, and only for requests that demand a leader, which the load's
//     do not; a proposal without leader ends in ErrTimeout.
//   - ErrNotLeader and ErrLeaderChanged: no write path of 3.7 raises them.
//   - ErrTimeout and its kin, ErrStopped, ErrCanceled: etcdserver/v3_server.go (processInternalRaftRequestOnce,
//     parseProposeCtxErr) raises them after the proposal.
func refusals() []rpctypes.EtcdError {
	var list []rpctypes.EtcdError
	for _, err := range []error{
		rpctypes.ErrEmptyKey,      // api/v3rpc/key.go: checkPutRequest, checkDeleteRequest, checkTxnRequest
		rpctypes.ErrValueProvided, // api/v3rpc/key.go: checkPutRequest
		rpctypes.ErrLeaseProvided, // api/v3rpc/key.go: checkPutRequest
		rpctypes.ErrTooManyOps,    // api/v3rpc/key.go: checkTxnRequest
		rpctypes.ErrDuplicateKey,  // api/v3rpc/key.go: checkIntervals
		// api/v3rpc/key.go: checkRequestOp; etcdserver/txn/put.go: checkAndGetPrevKV, before the put
		rpctypes.ErrKeyNotFound,
		rpctypes.ErrRequestTooLarge,                            // etcdserver/v3_server.go: processInternalRaftRequestOnce
		rpctypes.ErrTooManyRequests,                            // etcdserver/v3_server.go: processInternalRaftRequestOnce
		rpctypes.ErrLeaseNotFound,                              // etcdserver/txn/put.go: checkLease; txn.go: checkTxn
		rpctypes.ErrLeaseExist,                                 // lease/lessor.go: Grant
		rpctypes.ErrLeaseTTLTooLarge,                           // lease/lessor.go: Grant
		rpctypes.ErrNotCapable,                                 // api/v3rpc/interceptor.go: newUnaryInterceptor
		rpctypes.ErrInvalidAuthToken,                           // etcdserver/v3_server.go: AuthInfoFromCtx, before Propose
		rpctypes.ErrUserEmpty,                                  // auth/store.go: isOpPermitted, called by etcdserver/apply/auth.go
		rpctypes.ErrAuthOldRevision,                            // auth/store.go: isOpPermitted, as above
		rpctypes.ErrPermissionDenied,                           // auth/store.go: isOpPermitted, as above
		rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner), // api/v3rpc/interceptor.go: newUnaryInterceptor
	} {
		var fromEtcd rpctypes.EtcdError
		if errors.As(err, &fromEtcd) {
			list = append(list, fromEtcd)
		}
	}
	return list
}
