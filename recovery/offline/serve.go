package offline

import (
	"context"
	"io"

	"github.com/etcd-drill/etcd-drill/recovery/internal/serve"
)

// Serve is the worker's side of Worker: it reads one request from stdin, does it, and writes one response to stdout. What
// etcd's libraries log goes to stderr. The error says that there was no usable request or no way to answer; the outcome of
// the task itself is in the response. A program that serves does nothing else and exits when Serve returns.
//
// Damaged input can end the process before Serve returns, in ways that Go cannot catch. The parent expects that.
func Serve(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	return serve.Answer(ctx, stdin, stdout, stderr)
}
