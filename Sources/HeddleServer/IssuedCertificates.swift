package import FoundationEssentials
package import KubeCore
import Synchronization

/// Until when the certificates are valid that this replica signed, by pod. Lapsed ones are forgotten.
package final class IssuedCertificates: Sendable {
    private let ends = Mutex<[ObjectKey: Date]>([:])

    package init() {}

    /// The end of the pod's newest certificate; nil when this replica signed none that is still valid.
    package func notAfter(of pod: ObjectKey) -> Date? { ends.withLock { $0[pod] } }

    func note(_ pod: ObjectKey, notAfter: Date, now: Date) {
        ends.withLock { ends in
            ends = ends.filter { $0.value > now }
            ends[pod] = notAfter
        }
    }
}
