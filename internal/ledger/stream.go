package ledger

import (
	"errors"
	"iter"
)

// Stream yields values in order, or one error and then nothing. It can be read several times, each time from the start.
type Stream[T any] = iter.Seq2[T, error]

// ErrUnended marks a ledger without its closing line: the drill died, or somebody cut the file. What it lacks is not known.
var ErrUnended = errors.New("the ledger has no closing line")
