const twilio = require('twilio');
