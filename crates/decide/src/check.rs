//! The decision. Read this function first.

use jiff::Timestamp;

use crate::admit::admit;
use crate::authenticate::authenticate;
use crate::authorize::authorize;
use crate::decider::Decider;
use crate::denial::Refusal;
use crate::generation::Generation;
use crate::presented::{RawRequest, present};
use crate::require::require;
use crate::route::{Routed, route};
use crate::settle::{Settled, settle, settle_public};
use crate::trail::{Stage, Trail};

impl Decider {
    /// Decides one request under one generation.
    ///
    /// Each stage takes the evidence of the stage before, and a stage that cannot give its own ends here.
    ///
    /// # Errors
    /// The one reason why the request is not permitted.
    pub async fn check(
        &self,
        request: &RawRequest<'_>,
        generation: &Generation,
        now: Timestamp,
        trail: &mut Trail<'_>,
    ) -> Result<Settled, Refusal> {
        trail.enter(Stage::Present);
        let presented = present(request, trail)?;

        trail.enter(Stage::Route);
        let asked = match route(presented, &generation.routes, trail)? {
            Routed::Public(public) => return Ok(settle_public(public)),
            Routed::Guarded(guarded) => guarded,
        };

        trail.enter(Stage::Authenticate);
        let authenticated = authenticate(asked, self, generation, now, trail).await?;

        trail.enter(Stage::Require);
        let required = require(authenticated, generation, now, trail)?;

        trail.enter(Stage::Admit);
        let admitted = admit(required, self, generation, now, trail).await?;

        trail.enter(Stage::Authorize);
        let authorized = authorize(admitted, self, generation, now, trail)?;

        trail.enter(Stage::Settle);
        Ok(settle(authorized, self, now))
    }
}
