package follow

import "context"

// listen looks at what is announced, and tries again where it can hear no more. Looking every second goes on meanwhile.
func (f *Follower) listen(ctx context.Context, s Announcer) {
	for ctx.Err() == nil {
		err := s.Listen(ctx, f.Look)
		if ctx.Err() != nil {
			return
		}
		f.log.Info("Announcements are not heard; the store is looked at every second all the same", "reason", err.Error())
		select {
		case <-ctx.Done():
		case <-f.clock.After(listenAgain):
		}
	}
}
