'use strict';

// Auth0 Action that lets Twilio Verify deliver the code that Auth0 made and will check.
//
// Secrets: TWILIO_ACCOUNT_SID, TWILIO_VERIFY_SID, and TWILIO_API_KEY with TWILIO_API_SECRET (a restricted key that may
// only create verifications is enough) or TWILIO_AUTH_TOKEN. A whole key wins over the token.
//
// Every reason ends up in the tenant log (Auth0 cuts it at 1024 characters), so none holds a phone number, a code, a
// secret, or text written by the vendor: Twilio's messages quote the number.

