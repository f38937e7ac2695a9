import Testing

/// Whatever speaks to a real API server, one test after another: they install and remove the same objects there.
@Suite(.serialized) enum OnRealServer {}
