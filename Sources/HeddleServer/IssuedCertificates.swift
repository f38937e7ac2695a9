package import FoundationEssentials
package import KubeCore
import Synchronization

/// Until when the certificates are valid that this replica signed, by pod. Lapsed ones are forgotten.
package final class IssuedCertificates: Sendable {
    private let state = Mutex<(ends: [ObjectKey: Date], count: Int)>(([:], 0))

    package init() {}

    /// The end of the pod's newest certificate; nil when this replica signed none that is still valid.
    package func notAfter(of pod: ObjectKey) -> Date? { state.withLock { $0.ends[pod] } }

    /// Every pod's newest certificate of this replica.
    package var ends: [ObjectKey: Date] { state.withLock { $0.ends } }

    /// How many certificates this replica signed since its start.
    package var count: Int { state.withLock { $0.count } }

    /// - Parameter pod: nil for a caller that is no pod; such certificates are counted only.
    func note(_ pod: ObjectKey?, notAfter: Date, now: Date) {
        state.withLock { state in
            state.count += 1
            state.ends = state.ends.filter { $0.value > now }
            if let pod { state.ends[pod] = notAfter }
        }
    }
}
