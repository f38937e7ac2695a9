/// Any clock that counts in `Duration`, as one type: what runtime parts are given, so that tests can drive time.
package struct AnyClock: Clock {
    /// Time since the wrapped clock was wrapped.
    package struct Instant: InstantProtocol {
        package var offset: Duration

        package init(offset: Duration) { self.offset = offset }
        package func advanced(by duration: Duration) -> Self { Self(offset: offset + duration) }
        package func duration(to other: Self) -> Duration { other.offset - offset }
        package static func < (a: Self, b: Self) -> Bool { a.offset < b.offset }
    }

    private let elapsed: @Sendable () -> Duration
    private let sleeping: @Sendable (Duration, Duration?) async throws -> Void

    package init<Wrapped: Clock>(_ clock: Wrapped) where Wrapped.Duration == Duration {
        let origin = clock.now
        elapsed = { origin.duration(to: clock.now) }
        sleeping = { offset, tolerance in
            try await clock.sleep(until: origin.advanced(by: offset), tolerance: tolerance)
        }
    }

    package static var continuous: AnyClock { AnyClock(ContinuousClock()) }

    package var now: Instant { Instant(offset: elapsed()) }
    package var minimumResolution: Duration { .nanoseconds(1) }

    package func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        try await sleeping(deadline.offset, tolerance)
    }
}
