-- The churn features as people and the training read them. The rule is in int_churn_features.
with features as (

    select * from {{ ref('int_churn_features') }}

)

select
    {{ promised_columns() }}
from features
